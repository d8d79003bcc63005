import Cluster
import Foundation
import Wire

extension Kind {
    /// As it travels, and its JSON alone: damage to a length breaks all that follows.
    private static func seeds(_ name: String, _ message: some Encodable, payload: [UInt8] = []) -> [Seed] {
        guard let envelope = try? WireCoding.envelope(message, payload: payload),
            let bytes: [UInt8] = try? envelope.serializedBytes()
        else { return [] }
        return [
            Seed(name, bytes),
            Seed(name + " (body)", [UInt8](envelope.body), form: .text, mendedQuarters: 4) { body in
                var envelope = Beamline_Envelope()
                (envelope.body, envelope.payload) = (Data(body), Data(payload))
                return (try? envelope.serializedBytes()) ?? []
            },
        ]
    }

    private static let replicas = FileReplicas(["root://a:1094//store/x.root", "root://b//store/x.root"], size: 4096)
    private static let lease = LeaseName(task: TaskID(7), token: Token(1 << 40))

    private static let receipts: [Receipt] = [
        Receipt(lease, .counted(bytesRead: 100, seconds: 0.5), specs: [1, 2, 3]),
        Receipt(lease, .listed([replicas])), Receipt(lease, .failed(reason: "no", transient: true)),
        Receipt(
            lease,
            .surveyed(
                Survey(
                    bytes: 4096, identity: "uuid", adler32: "00000001", entries: 100, boundaries: [0, 50, 100],
                    clusters: [0, 100],
                    branches: [
                        SurveyedBranch(name: "x", type: "float", fixedValues: 1, itemValues: 1, unsupported: nil)
                    ]))),
    ]

    private static let metrics = PartMetrics(events: 10, loss: 0.5, auc: 0.75, accuracy: 0.5)

    /// What a worker sends.
    static let workerEnvelope = Kind(
        name: "worker-envelope", weight: 10,
        seeds: [
            seeds(
                "join",
                WorkerMessage.join(
                    JoinRequest(name: "w1", threads: 8, readAhead: 4, localRoots: ["/data"], version: "1")),
                payload: Array("token".utf8)),
            seeds(
                "heartbeat",
                WorkerMessage.heartbeat(
                    Heartbeat(held: [lease], round: .init(round: RoundNumber(3), phase: .training, step: 100)))),
            seeds("receipts", WorkerMessage.receipts(receipts)),
            seeds(
                "progress",
                WorkerMessage.training(
                    round: RoundNumber(3), .progress(step: 1, epoch: 1, stepsPerEpoch: 10, stepsPerSecond: 2, loss: 0.5)
                )),
            seeds(
                "checkpoint",
                WorkerMessage.training(
                    round: RoundNumber(3),
                    .checkpoint(
                        digest: "ab", step: 10,
                        metrics: [EpochMetrics(epoch: 1, train: metrics, validation: metrics)]))),
            seeds("sites", WorkerMessage.sites([])),
            [(try? WireCoding.envelope(receipts: receipts)).flatMap { try? $0.serializedBytes() }]
                .compactMap { $0.map { Seed("receipts in fields", $0) } },
        ].flatMap { $0 },
        read: { bytes in
            guard let envelope = try? Beamline_Envelope(serializedBytes: bytes),
                let messages = try? WireCoding.messages(ofWorker: envelope)
            else { return .rejected }
            return messages.isEmpty ? .partly : .whole
        })

    private static func grants() -> Seed? {
        let input = InputTree(replicas, tree: "events", identity: "uuid")
        guard let task = try? WireCoding.body(TaskBody.list(pattern: "root://a//*.root")),
            let inputBytes = try? WireCoding.body(input),
            let plan = try? WireCoding.body(ChunkPlan(branches: ["x"], split: .init()))
        else { return nil }
        var envelope = Beamline_Envelope()
        envelope.grants = [
            WireCoding.grant(lease, task: task),
            WireCoding.grant(lease, input: inputBytes, plan: plan, boundaries: [0, 50, 100][...]),
        ]
        envelope.acknowledged = [WireCoding.name(lease)]
        return (try? envelope.serializedBytes()).map { Seed("grants", $0) }
    }

    /// What the coordinator sends.
    static let coordinatorEnvelope = Kind(
        name: "coordinator-envelope", weight: 10,
        seeds: [
            seeds(
                "welcome",
                CoordinatorMessage.welcome(worker: WorkerID(1), leaseSeconds: 30, protocolVersion: WireProtocol.version)
            ),
            seeds(
                "startRound",
                CoordinatorMessage.startRound(
                    RoundOrder(
                        job: JobID(1), round: RoundNumber(2), rank: 0, members: ["a", "b"], owners: [0, 1],
                        dataPlan: "ab", trainingPlan: "cd", checkpoint: nil,
                        checkpointStep: 0, epochs: 0))),
            seeds("catalog", CoordinatorMessage.catalog(SiteCatalog())), [grants()].compactMap { $0 },
        ].flatMap { $0 },
        read: { bytes in
            var reader = WireCoding.CoordinatorReader()
            guard let envelope = try? Beamline_Envelope(serializedBytes: bytes),
                let messages = try? reader.messages(envelope)
            else { return .rejected }
            return messages.isEmpty ? .partly : .whole
        })
}
