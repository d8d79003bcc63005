import Cluster
import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import Specs
import Synchronization
import Wire

/// What all the hollow workers of a run share.
final class Tally: Sendable {
    struct Counts: Sendable {
        var acknowledged = 0
        var first = 0.0
        var last = 0.0
        var welcomed = 0
        /// Seconds from a receipt to the next grant, of the workers that do one task at a time.
        var waits: [Double] = []
    }

    let counts = Mutex(Counts())

    func acknowledged(_ number: Int) {
        let now = monotonicSeconds()
        counts.withLock {
            if $0.acknowledged == 0 { $0.first = now }
            $0.acknowledged += number
            $0.last = now
        }
    }
}

/// The leases of one worker.
private final class Held: Sendable {
    let leases = Mutex<Set<LeaseName>>([])
}

/// A worker that computes nothing: it answers at once what a worker would have found. The coordinator sees no difference.
struct HollowWorker: Sendable {
    let name: String
    let threads: Int
    let readAhead: Int
    let job: HollowJob
    let tally: Tally
    /// Measures how long it waits for a grant.
    var measures = false

    func run(port: Int) async throws {
        let transport = try HTTP2ClientTransport.Posix(
            target: .ipv4(address: "127.0.0.1", port: port), transportSecurity: .plaintext)
        try await withGRPCClient(transport: transport) { client in
            let workers = Beamline_Workers.Client(wrapping: client)
            let (messages, outgoing) = AsyncStream.makeStream(of: Beamline_Envelope.self)
            let request = JoinRequest(
                name: name, threads: threads, readAhead: readAhead, localRoots: [], version: "bench")
            outgoing.yield(try WireCoding.envelope(WorkerMessage.join(request)))
            let held = Held()
            try await workers.session { writer in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { for await message in messages { try await writer.write(message) } }
                    group.addTask {
                        while !Task.isCancelled {
                            try await Task.sleep(for: .seconds(1))
                            outgoing.yield(
                                try WireCoding.envelope(
                                    WorkerMessage.heartbeat(Heartbeat(held: held.leases.withLock { Array($0) }))))
                        }
                    }
                    defer { group.cancelAll() }
                    try await group.next()
                }
            } onResponse: { response in
                defer { outgoing.finish() }
                var reader = WireCoding.CoordinatorReader()
                var lastAnswer = 0.0
                for try await envelope in response.messages {
                    for message in try reader.messages(envelope) {
                        switch message {
                        case .welcome: tally.counts.withLock { $0.welcomed += 1 }
                        case .acknowledged(let leases):
                            held.leases.withLock { $0.subtract(leases) }
                            tally.acknowledged(leases.count)
                        case .grants(let grants):
                            if measures, lastAnswer > 0 {
                                let wait = monotonicSeconds() - lastAnswer
                                tally.counts.withLock { $0.waits.append(wait) }
                            }
                            held.leases.withLock { $0.formUnion(grants.map(\.lease)) }
                            if measures { try await Task.sleep(for: .milliseconds(5)) }
                            lastAnswer = monotonicSeconds()
                            // Several small messages, so that the coordinator is at work while the next is made.
                            for start in stride(from: 0, to: grants.count, by: 256) {
                                outgoing.yield(
                                    try WireCoding.envelope(
                                        receipts: grants[start..<min(grants.count, start + 256)].map { job.receipt($0) }
                                    ))
                            }
                        case .refused(_, let reason): FileHandle.standardError.write(Data("refused: \(reason)\n".utf8))
                        case .startRound, .stopRound, .rendezvous, .catalog, .sites, .credential, .drained,
                            .useKernels:
                            break
                        }
                    }
                }
            }
        }
    }
}

/// The files that the hollow workers pretend to read: equal blocks of 1,000 events.
struct HollowJob: Sendable {
    let files: Int
    let blocks: Int
    let branches: Int
    static let events: Int64 = 1000
    private let specs: [UInt8]

    init(files: Int, blocks: Int, branches: Int) {
        (self.files, self.blocks, self.branches) = (files, blocks, branches)
        var statistics = BranchStatistics()
        (
            statistics.values, statistics.min, statistics.max, statistics.mean, statistics.squares,
            statistics.multiplicity
        ) = (Self.events, 0, 1, 0.5, 1, 1)
        let none = PartialSpecs(branches: .init(repeating: BranchStatistics(), count: branches))
        specs = SpecsCoding.encode([
            PartTable(
                train: PartialSpecs(rows: Self.events, branches: .init(repeating: statistics, count: branches)),
                validation: none, test: none)
        ])
    }

    func receipt(_ grant: Grant) -> Receipt {
        switch grant.body {
        case .list: return Receipt(grant.lease, .listed((0..<files).map { FileReplicas("root://bench//f\($0).root") }))
        case .survey(let file, _, _):
            let boundaries = (0...Int64(blocks)).map { $0 * Self.events }
            let names = (0..<branches).map {
                SurveyedBranch(name: "b\($0)", type: "float", fixedValues: 1, itemValues: 1, unsupported: nil)
            }
            return Receipt(
                grant.lease,
                .surveyed(
                    Survey(
                        bytes: 1 << 30, identity: file.url, entries: boundaries.last!, boundaries: boundaries,
                        clusters: boundaries, branches: names)))
        // Of so many seconds that chunks do not grow: each is a block.
        case .chunk(let chunk):
            precondition(chunk.boundaries.count == 2)
            return Receipt(grant.lease, .counted(bytesRead: 1 << 20, seconds: 60), specs: specs)
        }
    }
}

func monotonicSeconds() -> Double { Double(DispatchTime.now().uptimeNanoseconds) * 1e-9 }
