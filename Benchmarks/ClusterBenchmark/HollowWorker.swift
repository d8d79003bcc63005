import Cluster
import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
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

/// A worker that computes nothing: it answers at once what a worker would have found. The coordinator sees no
/// difference.
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
                        case .rejected(_, let reason):
                            FileHandle.standardError.write(Data("rejected: \(reason)\n".utf8))
                        case .revoked(let leases): held.leases.withLock { $0.subtract(leases) }
                        case .startRound, .stopRound, .rendezvous, .catalog, .sites, .credential, .drained:
                            break
                        }
                    }
                }
            }
        }
    }
}

func monotonicSeconds() -> Double { Double(DispatchTime.now().uptimeNanoseconds) * 1e-9 }
