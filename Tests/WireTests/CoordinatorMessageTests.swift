import Bytes
import Cluster
import Foundation
import Testing
import Wire

/// What the coordinator sends: each message survives the way, grants share what they repeat.
@Suite struct CoordinatorMessageTests {
    private static let lease = LeaseName(task: TaskID(7), token: Token(1 << 40))
    private static let order = RoundOrder(
        job: JobID(1), round: RoundNumber(2), rank: 0, members: ["a", "b"], owners: [0, 1, 1], dataPlan: "ab",
        trainingPlan: "ef", checkpoint: "cd", checkpointStep: 5, epochs: 1)
    private static let messages: [CoordinatorMessage] = [
        .welcome(worker: WorkerID(3), leaseSeconds: 30, protocolVersion: WireProtocol.version), .acknowledged([lease]),
        .rejected(lease, reason: "no"), .revoked([lease]),
        .startRound(order), .stopRound(round: RoundNumber(2)), .rendezvous(round: RoundNumber(2), key: "0/1"),
        .catalog(SiteCatalog()),
        .sites([]), .credential, .drained,
    ]

    private func read(_ envelope: Beamline_Envelope) throws -> [CoordinatorMessage] {
        var reader = WireCoding.CoordinatorReader()
        let bytes: [UInt8] = try envelope.serializedBytes()
        return try reader.messages(Beamline_Envelope(serializedBytes: bytes))
    }

    @Test(arguments: messages) func aMessageSurvivesTheWay(_ message: CoordinatorMessage) throws {
        #expect(try read(WireCoding.envelope(message)) == [message])
    }

    @Test func acknowledgementsHaveFieldsOfTheirOwn() throws {
        var envelope = Beamline_Envelope()
        envelope.acknowledged = [Self.lease, LeaseName(task: TaskID(-1), token: Token(Int64.max))].map(WireCoding.name)
        #expect(
            try read(envelope) == [.acknowledged([Self.lease, LeaseName(task: TaskID(-1), token: Token(Int64.max))])])
    }

    private static let input = InputTree(FileReplicas("root://a//x.root"), tree: "events", identity: "u", verify: true)

    private func chunk(
        _ lease: LeaseName, _ input: InputTree, _ plan: ChunkPlan, _ bounds: [Int64]
    ) throws -> Beamline_Grants {
        WireCoding.grant(
            lease, input: try WireCoding.body(input), plan: try WireCoding.body(plan), boundaries: bounds[...])
    }

    @Test func grantsCarryTheirTaskAndPlan() throws {
        let plan = ChunkPlan(branches: ["x", "y"], split: .init())
        var envelope = Beamline_Envelope()
        envelope.grants = [
            WireCoding.grant(Self.lease, task: try WireCoding.body(TaskBody.list(pattern: "/x/*.root"))),
            try chunk(LeaseName(task: TaskID(8), token: Token(9)), Self.input, plan, [0, 10, 25]),
        ]
        #expect(
            try read(envelope) == [
                .grants([
                    Grant(Self.lease, .list(pattern: "/x/*.root")),
                    Grant(
                        LeaseName(task: TaskID(8), token: Token(9)),
                        .chunk(ChunkTask(Self.input, boundaries: [0, 10, 25])), plan: plan
                    ),
                ])
            ])
    }

    /// The reader keeps the last plan and input: another one must not be taken for it.
    @Test func aReaderSeesThatAPlanOrInputChanged() throws {
        var reader = WireCoding.CoordinatorReader()
        var other = Self.input
        other.tree = "other"
        let plans = [ChunkPlan(branches: ["x"], split: .init()), ChunkPlan(branches: ["y"], split: .init())]
        for (input, plan) in [
            (Self.input, plans[0]), (Self.input, plans[1]), (other, plans[1]), (Self.input, plans[0]),
        ] {
            var envelope = Beamline_Envelope()
            envelope.grants = [try chunk(Self.lease, input, plan, [0, 1])]
            #expect(
                try reader.messages(envelope) == [
                    .grants([Grant(Self.lease, .chunk(ChunkTask(input, boundaries: [0, 1])), plan: plan)])
                ])
        }
    }

    @Test func whatIsNotUnderstoodIsAnError() throws {
        var envelope = Beamline_Envelope()
        envelope.body = Data("{\"applause\":{}}".utf8)
        #expect(throws: InputError.self) { try read(envelope) }
        envelope = Beamline_Envelope()
        envelope.grants = [WireCoding.grant(Self.lease, task: Data("{}".utf8))]
        #expect(throws: InputError.self) { try read(envelope) }
        envelope.grants = [WireCoding.grant(Self.lease, input: Data("{}".utf8), plan: Data("{}".utf8), boundaries: [])]
        #expect(throws: InputError.self) { try read(envelope) }
    }
}
