import Bytes
import Cluster
import Foundation
import Testing
import Wire

/// What workers send: each message survives the way, and what is too large or unknown is an error, not a guess.
@Suite struct WorkerMessageTests {
    private static let lease = LeaseName(task: TaskID(7), token: Token(1 << 40))
    private static let metrics = PartMetrics(events: 10, loss: 0.5, auc: 0.75, accuracy: 0.5)
    private static var evaluation: EvaluationReport {
        var report = EvaluationReport()
        report.train.metrics = PartMetrics(events: 3, loss: 0.25, auc: nil, classAUC: [0.5, nil, 1], accuracy: nil)
        report.test.histograms = [.init(own: [1, 2], others: [3, 4])]
        report.test.confusion = [[1, 2], [3, 4]]
        var output = OutputReport()
        var curve = OutputReport.Curve()
        (curve.thresholds, curve.signal, curve.background) = ([1.5, 0], [0, 1], [0, 1])
        output.roc = curve
        output.calibration = [.init()]
        output.rejection = [.init()]
        output.ownClass = .init(statistic: 0.25, probability: 0.5)
        report.outputs = [output, OutputReport()]
        return report
    }
    private static let replicas = FileReplicas(
        ["root://a//x.root", "root://b//x.root"], size: 4096, adler32: "00000001")

    private static let receipts: [Receipt] = [
        Receipt(lease, .counted(bytesRead: 1 << 40, seconds: 0.125), specs: [1, 2, 3]),
        Receipt(lease, .counted(bytesRead: 0, seconds: 0), specs: []), Receipt(lease, .listed([replicas])),
        Receipt(lease, .listed([replicas], repeated: 3)),
        Receipt(lease, .failed(reason: "no \"such\" file\n", transient: true)),
        Receipt(
            lease,
            .surveyed(
                Survey(
                    bytes: 4096, identity: "uuid", entries: 100, boundaries: [0, 50, 100], clusters: [0, 100],
                    branches: [
                        SurveyedBranch(name: "x", type: "float", fixedValues: nil, itemValues: 3, unsupported: "why")
                    ]))),
    ]

    private static let messages: [WorkerMessage] = [
        .join(JoinRequest(name: "w", threads: 8, readAhead: 4, localRoots: ["/data"], version: "1")),
        .heartbeat(Heartbeat(held: [lease], round: .init(round: RoundNumber(3), phase: .training, step: 100))),
        .heartbeat(Heartbeat(held: [])),
        .heartbeat(Heartbeat(held: [], stuck: .init(threads: 2, file: "/data/a.root", seconds: 31.5))),
        .receipts(receipts), .rendezvous(round: RoundNumber(3), key: "0/1"),
        .training(
            round: RoundNumber(3), .progress(step: 1, epoch: 2, stepsPerEpoch: 10, stepsPerSecond: 2.5, loss: 0.5)),
        .training(
            round: RoundNumber(3),
            .checkpoint(
                digest: "ab", step: 10, metrics: [EpochMetrics(epoch: 1, train: metrics, validation: metrics)])),
        .training(round: RoundNumber(3), .finished(digest: "ab", step: 10, test: metrics, truncated: 4)),
        .training(
            round: RoundNumber(3),
            .finished(digest: "ab", step: 10, test: metrics, truncated: 4, evaluation: evaluation)),
        .training(round: RoundNumber(3), .failed(reason: "x", fatal: true, input: 2)), .sites([]), .leave,
    ]

    /// As bytes and back.
    private func travel(_ envelope: Beamline_Envelope) throws -> Beamline_Envelope {
        let bytes: [UInt8] = try envelope.serializedBytes()
        return try Beamline_Envelope(serializedBytes: bytes)
    }

    @Test(arguments: messages) func aMessageSurvivesTheWay(_ message: WorkerMessage) throws {
        let envelope = try travel(WireCoding.envelope(message, payload: [9, 8]))
        #expect(try WireCoding.messages(ofWorker: envelope) == [message])
        #expect([UInt8](envelope.payload) == [9, 8])
    }

    @Test func receiptsSurviveInFieldsOfTheirOwn() throws {
        let envelope = try travel(WireCoding.envelope(receipts: Self.receipts))
        #expect(envelope.body.isEmpty)
        #expect(try WireCoding.messages(ofWorker: envelope) == [.receipts(Self.receipts)])
    }

    @Test func oneEnvelopeMayHoldAMessageAndReceipts() throws {
        var envelope = try WireCoding.envelope(receipts: [Self.receipts[0]])
        envelope.body = try WireCoding.body(WorkerMessage.leave)
        #expect(try WireCoding.messages(ofWorker: travel(envelope)) == [.leave, .receipts([Self.receipts[0]])])
        #expect(try WireCoding.messages(ofWorker: Beamline_Envelope()) == [])
    }

    @Test func tooManyReceiptsAreAnError() throws {
        let many = try WireCoding.envelope(receipts: .init(repeating: Self.receipts[1], count: 8192))
        #expect(try WireCoding.messages(ofWorker: many).count == 1)
        var more = many
        more.receipts.append(many.receipts[0])
        let error = #expect(throws: InputError.self) { try WireCoding.messages(ofWorker: more) }
        #expect(error?.code == .limit && error?.found?.contains("8193 receipts") == true, "\(error as Any)")
    }

    @Test func aLargePayloadIsAnError() throws {
        var envelope = Beamline_Envelope()
        envelope.payload = Data(count: 8 << 20)
        #expect(try WireCoding.messages(ofWorker: envelope) == [])
        envelope.payload.append(0)
        let error = #expect(throws: InputError.self) { try WireCoding.messages(ofWorker: envelope) }
        #expect(error?.code == .limit)
    }

    @Test(arguments: ["{\"salute\":{}}", "{}", "[]", "{\"sites\":", "", "\u{0}"])
    func anUnknownMessageIsAnErrorThatNamesTheLikelyCause(_ text: String) throws {
        var envelope = Beamline_Envelope()
        envelope.body = Data(text.utf8)
        guard !text.isEmpty else { return #expect(try WireCoding.messages(ofWorker: envelope) == []) }
        let error = #expect(throws: InputError.self) { try WireCoding.messages(ofWorker: envelope) }
        #expect(error?.code == .corrupt && error?.hint?.contains("version") == true, "\(error as Any)")
    }

    /// An error would end the session, and the worker would send the receipt again in the next one, for ever.
    @Test func anUnknownResultIsAFailureOfItsTaskAlone() throws {
        var envelope = try WireCoding.envelope(receipts: [Self.receipts[2], Self.receipts[0]])
        envelope.receipts[0].result = Data("{\"sung\":{}}".utf8)
        guard case .receipts(let receipts)? = try WireCoding.messages(ofWorker: envelope).first,
            case .failed(let reason, let transient) = receipts[0].result
        else {
            Issue.record("expected a failure")
            return
        }
        #expect(receipts[0].lease == Self.lease && !transient && reason.contains("not understood"), "\(reason)")
        #expect(receipts[1] == Self.receipts[0])
    }

    @Test func aReceiptThatNoMessageCanHoldBecomesAFailureWithTheReason() throws {
        for receipt in Self.receipts { #expect(WireCoding.sendable(receipt) == receipt) }
        let name = String(repeating: "x", count: 1 << 20)
        let wide = Receipt(
            Self.lease, .listed((0..<30).map { FileReplicas(["root://a//\(name)\($0)"], logicalName: name) }))
        let long = Receipt(
            Self.lease, .counted(bytesRead: 1, seconds: 1), specs: [UInt8](repeating: 0, count: 50 << 20))
        for (receipt, what) in [(wide, "a list of 30 files"), (long, "partial specs")] {
            let sent = WireCoding.sendable(receipt)
            guard case .failed(let reason, let transient) = sent.result else {
                Issue.record("\(what) is still to be sent")
                continue
            }
            #expect(reason.contains(what) && reason.contains("50331648") && !transient && sent.specs.isEmpty)
            let bytes: [UInt8] = try WireCoding.envelope(receipts: [sent]).serializedBytes()
            #expect(bytes.count < 10_000)
        }
    }

    /// A reason may hold a whole file; each of its NUL bytes has six in JSON.
    @Test func theReasonOfAFailureIsShort() throws {
        let line = String(repeating: "\0", count: 5 << 20)
        let error = InputError(.missing, "no file \(line)", file: line, found: line)
        guard case .failed(let reason, _) = TaskResult(error) else {
            Issue.record("expected a failure")
            return
        }
        #expect(reason.utf8.count <= TaskResult.maxReason && reason.hasPrefix("no file"))
        // The text of a worker of another version is shortened where it comes in.
        let envelope = try WireCoding.envelope(receipts: [
            Receipt(Self.lease, .failed(reason: String(repeating: "y", count: 1 << 20), transient: true))
        ])
        guard case .receipts(let receipts)? = try WireCoding.messages(ofWorker: envelope).first,
            case .failed(let taken, true) = receipts[0].result
        else {
            Issue.record("expected a failure")
            return
        }
        #expect(taken.utf8.count <= TaskResult.maxReason && taken.hasSuffix(" bytes more)"))
    }

    @Test func fieldsOfALaterVersionAreIgnored() throws {
        var bytes: [UInt8] = try WireCoding.envelope(WorkerMessage.leave).serializedBytes()
        // Field 200, two bytes long.
        bytes += [0xC2, 0x0C, 2, 1, 2]
        let envelope = try Beamline_Envelope(serializedBytes: bytes)
        #expect(try WireCoding.messages(ofWorker: envelope) == [.leave])
    }
}
