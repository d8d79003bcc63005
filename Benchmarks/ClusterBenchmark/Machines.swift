import Cluster
import Foundation
import Scheduling

/// The scheduler alone: a cluster's events one after another, without ledger and network.
///
/// A simulated worker takes a second for each task, does four at once and reports every second what it holds.
struct Machines {
    let workers: Int
    let chunks: Int
    /// What is in flight for each worker.
    static let slots = 4
    static let chunksPerFile = 1000
    static let batch = 1000

    struct Line: Encodable {
        var workers: Int, chunks: Int, events: Int
        var seconds: Double, eventsPerSecond: Double
        /// Of resident memory, in bytes.
        var perWorker: Double, perChunk: Double, residentAtMost: Int
    }

    func run() throws -> Line {
        var settings = Scheduler.Settings()
        settings.maxReads = { _ in .max }
        let empty = residentBytes()
        var scheduler = Scheduler(settings, Restored(), now: 0)
        for id in (1...workers).map({ WorkerID($0) }) {
            scheduler.handle(
                .joined(
                    worker: id,
                    JoinRequest(name: "worker-\(id)", threads: Self.slots, readAhead: 0, localRoots: [], version: "1")),
                now: 0)
        }
        scheduler.settle()
        _ = scheduler.take()
        let joined = residentBytes()
        scheduler.handle(.submitted(job()), now: 0)
        let planned = residentBytes()
        let start = DispatchTime.now().uptimeNanoseconds
        let (events, most) = drive(&scheduler)
        let seconds = Double(DispatchTime.now().uptimeNanoseconds - start) * 1e-9
        return Line(
            workers: workers, chunks: chunks, events: events, seconds: seconds,
            eventsPerSecond: Double(events) / seconds, perWorker: Double(joined - empty) / Double(workers),
            perChunk: Double(planned - joined) / Double(chunks), residentAtMost: most - empty)
    }

    private func job() -> RestoredJob {
        var job = RestoredJob(id: JobID(1), description: JobDescription(name: "bench", datasets: []), stage: .specs)
        for file in 0..<(chunks + Self.chunksPerFile - 1) / Self.chunksPerFile {
            let cuts = (1...Int32(min(Self.chunksPerFile, chunks - file * Self.chunksPerFile))).map { $0 }
            job.units.append(WorkUnit(id: .file(FileID(file + 1)), sites: ["site\(file % 20)"], cuts: cuts))
        }
        job.unitCount = job.units.count
        return job
    }

    /// Runs the job to its end.
    /// - Returns: how many events that took, and the memory at most.
    private func drive(_ scheduler: inout Scheduler) -> (events: Int, most: Int) {
        var held: [[LeaseName]] = .init(repeating: [], count: workers + 1)
        var flying: [(worker: WorkerID, lease: LeaseName)] = []
        var next = 0
        var now = 0.0
        var heartbeats = 0
        var events = 0
        var most = 0
        scheduler.settle()
        while true {
            for (worker, reply) in scheduler.take().replies {
                guard case .assign(let assignment) = reply else { continue }
                flying.append((worker, assignment.lease))
                held[Int(worker.rawValue)].append(assignment.lease)
            }
            if next > 1 << 16 {
                flying.removeFirst(next)
                next = 0
            }
            guard next < flying.count else { break }
            let done = min(Self.batch, flying.count - next)
            for (worker, lease) in flying[next..<next + done] {
                held[Int(worker.rawValue)].removeAll { $0 == lease }
                // Of so many seconds that chunks do not grow.
                scheduler.handle(
                    .receipt(
                        worker: worker, Receipt(lease, .counted(bytesRead: 1, seconds: 10)), digest: "",
                        unacceptable: nil), now: now)
            }
            next += done
            now += Double(done) / Double(Self.slots * workers)
            events += done
            // Heartbeats that are due by now.
            while heartbeats < Int(now * Double(workers)) {
                let worker = heartbeats % workers + 1
                scheduler.handle(
                    .message(worker: WorkerID(worker), .heartbeat(Heartbeat(held: held[worker])), payload: []), now: now
                )
                heartbeats += 1
                events += 1
            }
            scheduler.handle(.tick, now: now)
            scheduler.settle()
            events += 1
            if events / 100_000 != (events - done) / 100_000 { most = max(most, residentBytes()) }
        }
        let id = JobID(1)
        precondition(scheduler.jobs[id]?.stage != .specs || scheduler.leases.isComplete(id), "the job did not end")
        return (events, max(most, residentBytes()))
    }
}

/// Resident memory of the process.
func residentBytes() -> Int {
    let fields = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8))?.split(separator: " ") ?? []
    return fields.count > 1 ? (Int(fields[1]) ?? 0) * sysconf(Int32(_SC_PAGESIZE)) : 0
}
