import Bytes
import Cluster
import Foundation
import Specs
import Testing
import Wire

/// The messages of a session as the first version sent them, taken from the wire.
@Suite struct GoldenMessageTests {
    private struct Recording: Decodable {
        var worker: [Data]
        var coordinator: [Data]
    }

    private let recording: Recording

    init() throws { recording = try Golden.value(Recording.self, "envelopes.json") }

    private func envelopes(_ coded: [Data]) throws -> [Beamline_Envelope] {
        try coded.map { try Beamline_Envelope(serializedBytes: [UInt8]($0)) }
    }

    @Test func whatAWorkerSent() throws {
        let messages = try envelopes(recording.worker).flatMap(WireCoding.messages(ofWorker:))
        var receipts: [Receipt] = []
        var joins: [JoinRequest] = []
        var reports: [TrainingReport] = []
        var (heartbeats, leaves) = (0, 0)
        for message in messages {
            switch message {
            case .join(let request): joins.append(request)
            case .heartbeat: heartbeats += 1
            case .receipts(let some): receipts += some
            case .training(let round, let report):
                #expect(round == RoundNumber(1))
                reports.append(report)
            case .leave: leaves += 1
            case .rendezvous, .sites: break
            }
        }
        // Their kernel types of OpenBLAS are passed over.
        #expect(joins.count == 2 && joins.allSatisfy { $0.instructionSet.isEmpty })
        #expect(joins.allSatisfy { $0.protocolVersion == 1 && $0.localRoots == ["/tmp/beamline-golden"] })
        #expect(heartbeats == 5 && leaves == 1 && reports.count == 7)
        #expect(receipts.map(\.lease.task).sorted() == (1...6).map { TaskID($0) })
        #expect(receipts.allSatisfy { $0.lease.token == Token(2 << 36 + $0.lease.task.rawValue) })
        let specs = try receipts.filter { !$0.specs.isEmpty }.map { try SpecsCoding.decode($0.specs) }
        #expect(specs.map(\.count) == [1, 1])
        #expect(specs.joined().flatMap(\.values).reduce(0) { $0 + $1.rows } == 12000)
        guard case .finished(_, let step, _, let truncated, nil)? = reports.last else {
            Issue.record("the last report is \(String(describing: reports.last))")
            return
        }
        #expect(step == 5718 && truncated >= 0)
    }

    /// All but a round's order, which names two plans since version 2 of the protocol, and the kernel types, which are
    /// gone since version 3: such a worker is rejected.
    @Test func whatACoordinatorSent() throws {
        var reader = WireCoding.CoordinatorReader()
        var grants: [Grant] = []
        var others: [CoordinatorMessage] = []
        var unknown: [InputError] = []
        for envelope in try envelopes(recording.coordinator) {
            let text = String(decoding: envelope.body, as: UTF8.self)
            if text.contains("startRound") { continue }
            if text.contains("useKernels") {
                let error = #expect(throws: InputError.self) {
                    var reader = WireCoding.CoordinatorReader()
                    return try reader.messages(envelope)
                }
                if let error { unknown.append(error) }
                continue
            }
            for message in try reader.messages(envelope) {
                if case .grants(let some) = message { grants += some } else { others.append(message) }
            }
        }
        #expect(grants.map(\.lease.task).sorted() == (1...6).map { TaskID($0) })
        guard case .list(let pattern)? = grants.first?.body else {
            Issue.record("the first grant is no list")
            return
        }
        #expect(pattern == "/tmp/beamline-golden/signal.root")
        #expect(!unknown.isEmpty && unknown.allSatisfy { $0.description.contains("different versions") })
        #expect(others.contains(.stopRound(round: RoundNumber(1))))
        let welcome = CoordinatorMessage.welcome(worker: WorkerID(1), leaseSeconds: 10, protocolVersion: nil)
        #expect(others.contains(welcome))
    }

    @Test func otherVersionsAreRejectedByName() {
        #expect(WireProtocol.mismatch(worker: 2, coordinator: 2) == nil)
        for (worker, coordinator, older) in [(1, 2, "worker"), (3, 2, "coordinator")] {
            let text = WireProtocol.mismatch(worker: worker, coordinator: coordinator) ?? ""
            #expect(
                text.contains("version \(worker) of the protocol")
                    && text.contains("coordinator version \(coordinator)"))
            #expect(text.contains("the \(older)'s is the older one"))
        }
    }
}
