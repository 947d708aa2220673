// Has the conversations of this folder in another language, as README.md tells them, by Node's ssh2:
//     node node.js PORT FOLDER-OF-KEYS DOCUMENT…
// Prints `ok DOCUMENT` for each that goes as it should, and else the line that does not.
"use strict";
const fs = require("fs");
const path = require("path");
const { Client } = require("ssh2");

const MORE = "…";
const PATIENCE = 60_000;

class App {
  // One channel: what came and was not asked for yet, and who asks.
  constructor(connection, stream) {
    Object.assign(this, { connection, stream, came: [], asking: null, held: Buffer.alloc(0), status: undefined });
    stream.on("data", (data) => this.take(data));
    stream.on("exit", (status) => (this.status = status));
    stream.on("close", () => this.push(null));
    stream.stderr.resume();
  }

  static open(port, keys, user) {
    return new Promise((resolve, reject) => {
      const connection = new Client();
      connection.on("error", reject);
      connection.on("ready", () =>
        connection.subsys("sshhome", (error, stream) => (error ? reject(error) : resolve(new App(connection, stream)))),
      );
      const privateKey = fs.readFileSync(path.join(keys, user));
      connection.connect({ host: "127.0.0.1", port, username: user, privateKey });
    });
  }

  take(data) {
    this.held = Buffer.concat([this.held, data]);
    while (this.held.length) {
      const line = this.held[0] === 0x7b || this.held[0] === 0x5b;
      const from = line ? 0 : 4;
      let end;
      if (line) {
        end = this.held.indexOf(0x0a);
        if (end < 0) return;
      } else {
        if (this.held.length < 4) return;
        end = 4 + this.held.readUInt32BE(0);
        if (this.held.length < end) return;
      }
      this.push({ line, value: JSON.parse(this.held.subarray(from, end).toString("utf8")) });
      this.held = this.held.subarray(line ? end + 1 : end);
    }
  }

  push(message) {
    this.came.push(message);
    if (this.asking) this.asking();
  }

  async hear() {
    if (!this.came.length) {
      let timer;
      await new Promise((resolve, reject) => {
        this.asking = resolve;
        timer = setTimeout(() => reject(new Error("nothing comes")), PATIENCE);
      }).finally(() => clearTimeout(timer));
      this.asking = null;
    }
    return this.came.shift();
  }
}

function filled(value, known) {
  if (Array.isArray(value)) return value.map((member) => filled(member, known));
  if (value !== null && typeof value === "object")
    return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, filled(member, known)]));
  return typeof value === "string" && value in known ? known[value] : value;
}

function same(one, other) {
  return JSON.stringify(one) === JSON.stringify(other);
}

function matches(expected, value, known) {
  if (typeof expected === "string" && expected.startsWith("$")) {
    if (expected === "$_") return true;
    if (!(expected in known)) known[expected] = value;
    return same(known[expected], value);
  }
  if (Array.isArray(expected)) {
    if (!Array.isArray(value)) return false;
    if (expected[0] === MORE)
      return expected.slice(1).every((member) => value.some((other) => tried(member, other, known)));
    return expected.length === value.length && expected.every((member, at) => matches(member, value[at], known));
  }
  if (expected !== null && typeof expected === "object") {
    if (value === null || typeof value !== "object" || Array.isArray(value)) return false;
    const names = Object.keys(expected).filter((name) => name !== MORE);
    if (!(MORE in expected) && names.length !== Object.keys(value).length) return false;
    return names.every((name) => name in value && matches(expected[name], value[name], known));
  }
  return expected === value;
}

function tried(expected, value, known) {
  const names = { ...known };
  return matches(expected, value, names) && Boolean(Object.assign(known, names));
}

async function heard(app, expected, known) {
  while (expected.length) {
    const message = await app.hear();
    const at = expected.findIndex((one) => message && one.line === message.line && tried(one.value, message.value, known));
    if (at < 0) throw new Error(`unexpected ${JSON.stringify(message)}`);
    expected.splice(at, 1);
  }
}

function raw(text) {
  const end = text.lastIndexOf('"') + 1;
  return Buffer.from(JSON.parse(text.slice(0, end)).repeat(Number(text.slice(end).trim() || "1")), "latin1");
}

async function converse(port, keys, document) {
  const lines = fs.readFileSync(document, "utf8").split("\n");
  const known = {};
  let app = null;
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at];
    if (!line || line.startsWith("#")) continue;
    const [word] = line.split(" ", 1);
    const rest = line.slice(word.length + 1);
    try {
      if (word === "as") {
        if (app) app.connection.end();
        app = await App.open(port, keys, rest);
      } else if (word === ">") {
        app.stream.write(JSON.stringify(filled(JSON.parse(rest), known)) + "\n");
      } else if (word === ">>") {
        const body = Buffer.from(JSON.stringify(filled(JSON.parse(rest), known)));
        const size = Buffer.alloc(4);
        size.writeUInt32BE(body.length);
        app.stream.write(Buffer.concat([size, body]));
      } else if (word === ">raw") {
        app.stream.write(raw(rest));
      } else if (word === "<" || word === "<<") {
        const expected = [{ line: word === "<", value: JSON.parse(rest) }];
        while (/^<<? /.test(lines[at + 1] || "")) {
          const next = lines[++at];
          expected.push({ line: next.startsWith("< "), value: JSON.parse(next.slice(next.indexOf(" "))) });
        }
        await heard(app, expected, known);
      } else if (word === "eof") {
        app.stream.end();
      } else if (word === "closed") {
        const message = await app.hear();
        if (message !== null) throw new Error(`unexpected ${JSON.stringify(message)}`);
        if (app.status !== Number(rest)) throw new Error(`exit status ${app.status}`);
      } else throw new Error("no such word");
    } catch (error) {
      throw new Error(`${path.basename(document)}, line ${at + 1}: ${line.slice(0, 200)}: ${error.message}`);
    }
  }
  app.connection.end();
}

async function main() {
  const [port, keys, ...documents] = process.argv.slice(2);
  for (const document of documents) {
    await converse(Number(port), keys, document);
    console.log(`ok ${path.basename(document)}`);
  }
}

main().catch((error) => {
  console.error(error.message);
  process.exit(1);
});
