import Bytes
import Cluster
import Foundation
import Ledger
import Logging
import OrderedCollections
import Scheduling
import Wire

/// The workers' sessions: what comes in as a join, and what goes out.
extension Coordinator {
    struct Session {
        var name: String
        let send: AsyncStream<Beamline_Envelope>.Continuation
    }

    /// Takes a worker in.
    /// - Parameter send: where its messages go.
    /// - Returns: the worker's number.
    /// - Throws: `InputError` where its join request is invalid; what the ledger throws.
    func join(_ request: JoinRequest, send: AsyncStream<Beamline_Envelope>.Continuation) throws -> WorkerID {
        try Self.check(request)
        if workerNumbers.isEmpty {
            let last = try ledger.next("worker", by: 1000)
            workerNumbers = last - 999..<last + 1
        }
        let id = WorkerID(workerNumbers.removeFirst())
        sessions[id] = Session(name: request.name, send: send)
        self.send(.catalog(settings.catalog), to: id)
        if let token = credential.token { self.send(.credential, to: id, payload: Array(token.utf8)) }
        post(.joined(worker: id, request))
        return id
    }

    private static func check(_ request: JoinRequest) throws(InputError) {
        func require(_ holds: Bool, _ expected: String, found: String) throws(InputError) {
            if !holds { throw InputError(.input, "invalid join request", expected: expected, found: found) }
        }
        let name = request.name.utf8.count
        try require((1...256).contains(name), "a name of 1 to 256 bytes", found: "\(name) bytes")
        try require((1...65_536).contains(request.threads), "1 to 65536 threads", found: "\(request.threads)")
        try require(
            (0...65_536).contains(request.readAhead), "0 to 65536 tasks read ahead", found: "\(request.readAhead)")
        try require(
            request.memoryBytes >= 0, "0 bytes of memory or more", found: "\(request.memoryBytes)")
        try require(request.localRoots.count <= 1000, "at most 1000 directories", found: "\(request.localRoots.count)")
        let longest = request.localRoots.map(\.utf8.count).max() ?? 0
        try require(longest <= 4096, "directories of at most 4096 bytes", found: "\(longest) bytes")
        for (what, text) in [
            ("version", request.version), ("name of an instruction set", request.instructionSet),
            ("process", request.process),
        ] {
            let limit = what == "process" ? 64 : 256
            try require(
                text.utf8.count <= limit, "a \(what) of at most \(limit) bytes", found: "\(text.utf8.count) bytes")
        }
    }

    /// A worker's connection ended.
    /// - Parameter died: it broke; else it was ended here, and nothing that the worker held is suspected.
    func leave(_ id: WorkerID, died: Bool) {
        guard let session = sessions.removeValue(forKey: id) else { return }
        session.send.finish()
        post(.left(worker: id, died: died))
    }

    private func send(_ message: CoordinatorMessage, to worker: WorkerID, payload: [UInt8] = []) {
        guard sessions[worker] != nil else { return }
        do { enqueue(try WireCoding.envelope(message, payload: payload), for: worker) } catch { log.error("\(error)") }
    }

    /// Sends each worker one envelope with all its assignments and acknowledgements, beside the rarer messages.
    func send(_ replies: [(worker: WorkerID, reply: Scheduler.Reply)]) {
        var frequent: [WorkerID: Beamline_Envelope] = [:]
        for (worker, reply) in replies where sessions[worker] != nil {
            switch reply {
            case .message(.acknowledged(let leases), _):
                frequent[worker, default: .init()].acknowledged += leases.map(WireCoding.name)
            case .message(let message, let payload): send(message, to: worker, payload: payload)
            case .assign(let assignment):
                do {
                    add(
                        try files.grant(assignment, core.scheduler.jobs[assignment.job]),
                        to: &frequent[worker, default: .init()])
                } catch {
                    log.error("task \(assignment.lease.task) cannot be assigned: \(error)")
                }
            }
        }
        for (worker, envelope) in frequent { enqueue(envelope, for: worker) }
    }

    /// Chunks of one file that follow each other share its description.
    private func add(_ grants: Beamline_Grants, to envelope: inout Beamline_Envelope) {
        let last = envelope.grants.count - 1
        if last >= 0, !grants.input.isEmpty, envelope.grants[last].input == grants.input,
            envelope.grants[last].plan == grants.plan
        {
            envelope.grants[last].leases += grants.leases
        } else {
            envelope.grants.append(grants)
        }
    }

    /// A worker that does not take what is sent is dropped before it fills the memory.
    private func enqueue(_ envelope: Beamline_Envelope, for worker: WorkerID) {
        guard let session = sessions[worker], case .dropped = session.send.yield(envelope) else { return }
        log.warning("worker \(worker) (\(session.name)) does not take what is sent to it; its session is ended")
        sessions[worker] = nil
        session.send.finish()
        post(.left(worker: worker, died: false))
    }

    /// Sends the running jobs' token to the workers where jobs ask for it, again whenever it was renewed, and takes it
    /// back at their end.
    func forwardCredential() {
        let isWanted = core.scheduler.jobs.values.contains { $0.description.credentials == .forward }
        if credential.refresh(isWanted: isWanted, now: Self.now()) {
            let token = Array((credential.token ?? "").utf8)
            for id in sessions.keys { send(.credential, to: id, payload: token) }
        }
        if credential.missing != core.scheduler.missingCredential { post(.credentials(missing: credential.missing)) }
    }
}
