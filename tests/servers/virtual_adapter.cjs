// Zigbee devices that exist only here, for a real Zigbee2MQTT: `node --require virtual_adapter.cjs .../zigbee2mqtt/cli.js`.
//
// Only the serial adapter is replaced. Everything above it is Zigbee2MQTT's own: devices are interviewed by their
// descriptors, and ZCL frames are built and parsed as over the air. Devices do what tests tell them through a socket,
// one JSON object a line, each answered by a line that is `ok` or says what was wrong:
//   {"join": NAME}   {"leave": NAME}   {"mute": NAME, "on": BOOLEAN}
//   {"report": NAME, "cluster": CLUSTER, "attributes": {ATTRIBUTE: VALUE}}
"use strict";
const net = require("node:net");
const path = require("node:path");
const readline = require("node:readline");
const {createRequire} = require("node:module");

const fromZigbee2mqtt = createRequire(path.join(process.env.ZIGBEE2MQTT, "package.json"));
const herdsman = path.dirname(fromZigbee2mqtt.resolve("zigbee-herdsman"));
const {Adapter} = require(path.join(herdsman, "adapter", "adapter.js"));
const Zcl = require(path.join(herdsman, "zspec", "zcl"));
const Zdo = require(path.join(herdsman, "zspec", "zdo"));

const COORDINATOR = "0x0012345678000001";
/** Milliseconds until a device has done what it was told, and until it reports that. */
const ANSWERS_AFTER = 5;
const REPORTS_AFTER = 50;
const SERVER_TO_CLIENT = 1;
const GLOBAL = 0;
const SPECIFIC = 1;
const UNSUPPORTED_ATTRIBUTE = 0x86;
const UNSUPPORTED_CLUSTER = 0xc3;

/** What each command makes of the attributes of the clusters of an endpoint: {cluster: {attribute: value}}. */
const COMMANDS = {
    genOnOff: {
        on: () => ({genOnOff: {onOff: 1}}),
        off: () => ({genOnOff: {onOff: 0}}),
        toggle: (_, clusters) => ({genOnOff: {onOff: 1 - clusters.genOnOff.onOff}}),
    },
    genLevelCtrl: {
        moveToLevel: ({level}) => ({genLevelCtrl: {currentLevel: level}}),
        moveToLevelWithOnOff: ({level}) => ({genLevelCtrl: {currentLevel: level}, genOnOff: {onOff: level > 0 ? 1 : 0}}),
    },
    lightingColorCtrl: {
        moveToColorTemp: ({colortemp}) => ({lightingColorCtrl: {colorTemperature: colortemp, colorMode: 2}}),
        moveToColor: ({colorx, colory}) => ({lightingColorCtrl: {currentX: colorx, currentY: colory, colorMode: 1}}),
    },
    closuresWindowCovering: {
        upOpen: () => ({closuresWindowCovering: {currentPositionLiftPercentage: 0}}),
        downClose: () => ({closuresWindowCovering: {currentPositionLiftPercentage: 100}}),
        goToLiftPercentage: ({percentageliftvalue}) => ({
            closuresWindowCovering: {currentPositionLiftPercentage: percentageliftvalue},
        }),
        stop: () => ({}),
    },
    closuresDoorLock: {
        lockDoor: () => ({closuresDoorLock: {lockState: 1}}),
        unlockDoor: () => ({closuresDoorLock: {lockState: 2}}),
    },
};

/** Commands that are answered by one of their own. */
const ANSWERS = {
    lockDoor: () => ["lockDoorRsp", {status: 0}],
    unlockDoor: () => ["unlockDoorRsp", {status: 0}],
    add: ({groupid, groupId, sceneid}) =>
        groupid === undefined || sceneid !== undefined
            ? ["addRsp", {status: 0, groupid: groupid ?? groupId, groupId: groupid ?? groupId, sceneid, sceneId: sceneid}]
            : ["addRsp", {status: 0, groupid}],
    remove: ({groupid}) => ["removeRsp", {status: 0, groupid}],
    store: ({groupid, sceneid}) => ["storeRsp", {status: 0, groupid, groupId: groupid, sceneid, sceneId: sceneid}],
};

class Device {
    constructor(number, name, {manufacturer, code, model, battery = false, endpoint = 1, type, clusters}) {
        this.name = name;
        this.address = `0x00124b00000000${number.toString(16).padStart(2, "0")}`;
        this.network = 0x2000 + number;
        this.code = code;
        this.router = !battery;
        this.endpoint = endpoint;
        this.type = type;
        this.muted = false;
        this.groups = new Set();
        this.scenes = new Map();
        const basic = {
            zclVersion: 3,
            manufacturerName: manufacturer,
            modelId: model,
            powerSource: battery ? 3 : 1,
            dateCode: "20260101",
            swBuildId: "1",
        };
        const switched = battery ? {} : {genGroups: {}, genScenes: {}};
        this.clusters = {genBasic: basic, genIdentify: {}, ...switched, ...clusters};
    }

    /** Take over what changes, and return it as far as the device has it. */
    change(changes) {
        const changed = {};
        for (const [cluster, attributes] of Object.entries(changes)) {
            if (this.clusters[cluster]) {
                Object.assign(this.clusters[cluster], attributes);
                changed[cluster] = Object.keys(attributes);
            }
        }
        return changed;
    }

    /** Do what a command says, and return what changed. */
    obey(cluster, command, payload) {
        if (cluster === "genGroups") {
            if (command === "add") this.groups.add(payload.groupid);
            if (command === "remove") this.groups.delete(payload.groupid);
            return {};
        }
        if (cluster === "genScenes") {
            const key = `${payload.groupid}/${payload.sceneid}`;
            if (command === "store") this.scenes.set(key, structuredClone({genOnOff: this.clusters.genOnOff}));
            return command === "recall" && this.scenes.has(key) ? this.change(this.scenes.get(key)) : {};
        }
        const does = COMMANDS[cluster]?.[command];
        return does ? this.change(does(payload, this.clusters)) : {};
    }
}

const lamp = {genOnOff: {onOff: 0}, genLevelCtrl: {currentLevel: 254}};
const colors = {colorMode: 2, colorTemperature: 370, currentX: 30015, currentY: 26870, colorCapabilities: 31};
const whites = {colorTempPhysicalMin: 153, colorTempPhysicalMax: 500, enhancedCurrentHue: 0, currentSaturation: 0};
const IKEA = {manufacturer: "IKEA of Sweden", code: 0x117c};
const PHILIPS = {manufacturer: "Philips", code: 0x100b};

const BULB = {...PHILIPS, model: "LCT015", endpoint: 11, type: 0x0210, clusters: {...lamp, lightingColorCtrl: {...colors, ...whites}}};

/** Models that Zigbee2MQTT knows, by the names that tests give them. */
const MODELS = {
    bulb: BULB,
    outlet: {...IKEA, model: "TRADFRI control outlet", type: 0x0101, clusters: {genOnOff: {onOff: 0}}},
    socket: {...IKEA, model: "TRADFRI control outlet", type: 0x0101, clusters: {genOnOff: {onOff: 0}}},
    blind: {
        ...IKEA,
        model: "FYRTUR block-out roller blind",
        battery: true,
        type: 0x0202,
        clusters: {genPowerCfg: {batteryPercentageRemaining: 87}, closuresWindowCovering: {currentPositionLiftPercentage: 0}},
    },
    sensor: {
        manufacturer: "LUMI",
        code: 0x115f,
        model: "lumi.weather",
        battery: true,
        type: 0x5f01,
        clusters: {
            msTemperatureMeasurement: {measuredValue: 2134},
            msRelativeHumidity: {measuredValue: 4820},
            msPressureMeasurement: {measuredValue: 1013, scaledValue: 10131, scale: -1},
        },
    },
    lock: {
        manufacturer: "Yale",
        code: 0x101d,
        model: "YRD226/246 TSDB",
        battery: true,
        type: 0x000a,
        clusters: {genPowerCfg: {batteryPercentageRemaining: 180}, closuresDoorLock: {lockState: 1, autoRelockTime: 0, soundVolume: 1}},
    },
    desk: BULB,
    garden: BULB,
};
const DEVICES = Object.entries(MODELS).map(([name, model], at) => new Device(at + 1, name, model));

class VirtualAdapter extends Adapter {
    constructor(...options) {
        super(...options);
        this.hasZdoMessageOverhead = false;
        this.waiting = new Set();
        this.sequence = 0;
    }

    async start() {
        this.control = net.createServer((socket) => {
            socket.on("error", () => {});
            readline.createInterface({input: socket}).on("line", (line) => {
                let answer = "ok";
                try {
                    this.obey(JSON.parse(line));
                } catch (error) {
                    answer = error.message;
                }
                socket.write(`${answer}\n`);
            });
        });
        this.control.listen(Number(process.env.VIRTUAL_CONTROL), "127.0.0.1");
        return "resumed";
    }

    async stop() {
        this.control.close();
    }

    obey(order) {
        const device = DEVICES.find(({name}) => name === (order.join ?? order.leave ?? order.mute ?? order.report));
        if (!device) throw new Error(`no such device: ${JSON.stringify(order)}`);
        if (order.join) this.emit("deviceJoined", {networkAddress: device.network, ieeeAddr: device.address});
        if (order.leave) this.emit("deviceLeave", {networkAddress: device.network, ieeeAddr: device.address});
        if (order.mute) device.muted = order.on;
        if (order.report) this.report(device, device.change({[order.cluster]: order.attributes}));
    }

    /** Let a device tell, as it does unasked, what its attributes are now. */
    report(device, changed) {
        for (const [name, attributes] of Object.entries(changed)) {
            const cluster = Zcl.Utils.getCluster(name);
            const records = attributes.map((attribute) => {
                const {ID, type} = cluster.attributes[attribute];
                return {attrId: ID, dataType: type, attrData: device.clusters[name][attribute]};
            });
            this.sequence = (this.sequence + 1) & 0xff;
            this.emit("zclPayload", this.frame(device, GLOBAL, "report", cluster, this.sequence, records));
        }
    }

    frame(device, kind, command, cluster, sequence, payload, code = undefined) {
        const frame = Zcl.Frame.create(kind, SERVER_TO_CLIENT, true, code, sequence, command, cluster, payload, {});
        const data = frame.toBuffer();
        return {
            clusterID: cluster.ID,
            header: Zcl.Header.fromBuffer(data),
            data,
            address: device.network,
            endpoint: device.endpoint,
            destinationEndpoint: 1,
            linkquality: 150,
            groupID: 0,
            wasBroadcast: false,
        };
    }

    /** Return the answer of a device to a frame, and what changed by it. */
    answer(device, {header, command, cluster, payload}) {
        const attributes = device.clusters[cluster.name];
        const reply = (kind, name, content) =>
            this.frame(device, kind, name, cluster, header.transactionSequenceNumber, content, header.manufacturerCode);
        const done = (status) => reply(GLOBAL, "defaultRsp", {cmdId: command.ID, statusCode: status});
        const nameOf = (id) => Object.keys(cluster.attributes).find((name) => cluster.attributes[name].ID === id);
        if (!header.isGlobal) {
            if (!attributes) return {reply: done(UNSUPPORTED_CLUSTER), changed: {}};
            const changed = device.obey(cluster.name, command.name, payload);
            const own = ANSWERS[command.name];
            return {reply: own ? reply(SPECIFIC, ...own(payload)) : done(0), changed};
        }
        if (command.name === "read") {
            const records = payload.map(({attrId}) => {
                const name = nameOf(attrId);
                return attributes?.[name] === undefined
                    ? {attrId, status: UNSUPPORTED_ATTRIBUTE}
                    : {attrId, status: 0, dataType: cluster.attributes[name].type, attrData: attributes[name]};
            });
            return {reply: reply(GLOBAL, "readRsp", records), changed: {}};
        }
        if (command.name === "write") {
            const written = Object.fromEntries(payload.map(({attrId, attrData}) => [nameOf(attrId), attrData]));
            return {reply: reply(GLOBAL, "writeRsp", [{status: 0}]), changed: device.change({[cluster.name]: written})};
        }
        const configured = command.name === "configReport";
        return {reply: configured ? reply(GLOBAL, "configReportRsp", [{status: 0}]) : done(0), changed: {}};
    }

    async sendZclFrameToEndpoint(_address, network, _endpoint, frame, _timeout, disableResponse) {
        const device = DEVICES.find((one) => one.network === network);
        if (!device || device.muted) throw new Error("Delivery failed (the device does not answer)");
        if (frame.header.isGlobal && frame.command.name === "defaultRsp") return undefined;
        const {reply, changed} = this.answer(device, frame);
        await new Promise((resolve) => setTimeout(resolve, ANSWERS_AFTER));
        setTimeout(() => this.report(device, changed), REPORTS_AFTER);
        for (const waiter of this.waiting) {
            if (waiter.network === network && waiter.cluster === frame.cluster.ID) waiter.resolve(reply);
        }
        // What comes over the air is heard by those that wait for it and by everybody else.
        this.emit("zclPayload", reply);
        return disableResponse ? undefined : reply;
    }

    async sendZclFrameToGroup(group, frame) {
        for (const device of DEVICES.filter(({groups, muted}) => groups.has(group) && !muted)) {
            const changed = device.obey(frame.cluster.name, frame.command.name, frame.payload);
            setTimeout(() => this.report(device, changed), REPORTS_AFTER);
        }
    }

    waitFor(network, _endpoint, _type, _direction, _sequence, cluster, _command, _default, timeout) {
        const waiter = {network, cluster};
        const end = () => {
            clearTimeout(waiter.timer);
            this.waiting.delete(waiter);
        };
        const promise = new Promise((resolve, reject) => {
            waiter.timer = setTimeout(() => reject(new Error("Timeout: no answer")), timeout);
            waiter.resolve = resolve;
        }).finally(end);
        this.waiting.add(waiter);
        return {promise, cancel: end};
    }

    async sendZdo(_address, network, clusterId, payload, disableResponse) {
        const {NODE_DESCRIPTOR_REQUEST, ACTIVE_ENDPOINTS_REQUEST, SIMPLE_DESCRIPTOR_REQUEST} = Zdo.ClusterId;
        if (disableResponse) return undefined;
        const device = DEVICES.find((one) => one.network === network);
        if (network !== 0 && (!device || device.muted)) throw new Error("Delivery failed (the device does not answer)");
        const nwkAddress = network;
        if (clusterId === ACTIVE_ENDPOINTS_REQUEST) return [0, {nwkAddress, endpointList: [device ? device.endpoint : 1]}];
        if (clusterId === NODE_DESCRIPTOR_REQUEST) {
            const limits = {maxBufSize: 82, maxIncTxSize: 82, maxOutTxSize: 82};
            const logicalType = device ? (device.router ? 1 : 2) : 0;
            const server = {serverMask: {stackComplianceRevision: 22}, capabilities: {}, tlvs: []};
            return [0, {nwkAddress, logicalType, manufacturerCode: device?.code ?? 0, frequencyBand: 8, ...limits, ...server}];
        }
        if (clusterId === SIMPLE_DESCRIPTOR_REQUEST) {
            const inClusterList = Object.keys(device?.clusters ?? {}).map((name) => Zcl.Utils.getCluster(name).ID);
            const about = {profileId: 0x0104, deviceId: device?.type ?? 5, deviceVersion: 1, outClusterList: []};
            return [0, {nwkAddress, length: 20, endpoint: payload.at(-1), inClusterList, ...about}];
        }
        return [0, {nwkAddress, entryList: [], routingTableEntries: 0, neighborTableEntries: 0, startIndex: 0}];
    }

    async getCoordinatorIEEE() {
        return COORDINATOR;
    }
    async getCoordinatorVersion() {
        return {type: "virtual", meta: {revision: "1"}};
    }
    async getNetworkParameters() {
        const {panID, channelList} = this.networkOptions;
        return {panID, extendedPanID: COORDINATOR, channel: channelList[0], nwkUpdateID: 0};
    }
    async supportsBackup() {
        return false;
    }
    async backup() {
        throw new Error("there is nothing to keep");
    }
    async reset() {}
    async permitJoin() {}
    async addInstallCode() {}
    async sendZclFrameToAll() {}
    async setChannelInterPAN() {}
    async restoreChannelInterPAN() {}
    async sendZclFrameInterPANToIeeeAddr() {}
    async sendZclFrameInterPANBroadcast() {
        throw new Error("no other network is near");
    }
}

Adapter.create = async (...options) => new VirtualAdapter(...options);
