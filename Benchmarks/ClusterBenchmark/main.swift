import Foundation

// cluster-benchmark machines WORKERS CHUNKS
//     the scheduling machines alone
// cluster-benchmark work PORT WORKERS FILES BLOCKS BRANCHES TASKS
//     WORKERS workers that compute nothing join the coordinator at PORT, each with room for TASKS, until all of a job's
//     FILES times BLOCKS chunks are acknowledged
// cluster-benchmark polled PORT WORKERS FILES BLOCKS BRANCHES TASKS
//     the same, while one more worker does one task at a time: receipts a second, and how long that worker waits for a
//     grant
// cluster-benchmark grants PORT IDLE GRANTS
//     one worker does GRANTS tasks of a job one after another while IDLE others are joined
// Each prints a line of JSON.

let arguments = CommandLine.arguments.dropFirst().map { $0 }
let numbers = arguments.dropFirst().compactMap { Int($0) }

func show(_ value: some Encodable) throws { print(String(decoding: try JSONEncoder().encode(value), as: UTF8.self)) }

struct WorkLine: Encodable { var workers: Int, receipts: Int, seconds: Double, receiptsPerSecond: Double }
struct PolledLine: Encodable {
    var receipts: Int, seconds: Double, receiptsPerSecond: Double
    /// Seconds from a receipt to the next grant.
    var grants: Int, median: Double, p99: Double
}
struct GrantLine: Encodable { var idle: Int, grants: Int, median: Double, p99: Double, most: Double }

/// Waits until a condition holds, an hour at most.
func wait(_ condition: @Sendable () -> Bool) async throws {
    for _ in 0..<360_000 {
        if condition() { return }
        try await Task.sleep(for: .milliseconds(10))
    }
    fatalError("nothing came for an hour")
}

/// Starts workers, waits until they are welcomed, runs the body, and lets them go.
func with(_ workers: [HollowWorker], port: Int, _ tally: Tally, _ body: () async throws -> Void) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
        for (number, worker) in workers.enumerated() {
            group.addTask {
                do { try await worker.run(port: port) } catch { if !Task.isCancelled { fatalError("\(error)") } }
            }
            // The first has the first number.
            if number == 0 { try await wait { tally.counts.withLock { $0.welcomed == 1 } } }
        }
        try await wait { tally.counts.withLock { $0.welcomed == workers.count } }
        FileHandle.standardError.write(Data("joined\n".utf8))
        try await body()
        group.cancelAll()
    }
}

/// Waits until all of a job's chunks are acknowledged; its list and its surveys come before, and are not counted.
/// - Parameter start: called when they are over.
func chunks(
    of job: HollowJob, _ tally: Tally, start: @Sendable () -> Void
) async throws -> (receipts: Int, seconds: Double) {
    let before = 1 + job.files
    try await wait { tally.counts.withLock { $0.acknowledged > before } }
    start()
    let first = tally.counts.withLock { ($0.acknowledged, $0.last) }
    try await wait { tally.counts.withLock { $0.acknowledged >= before + job.files * job.blocks } }
    return tally.counts.withLock { ($0.acknowledged - first.0, $0.last - first.1) }
}

switch (arguments.first, numbers.count) {
case ("machines", 2): try show(Machines(workers: numbers[0], chunks: numbers[1]).run())
case ("work", 6):
    let tally = Tally()
    let job = HollowJob(files: numbers[2], blocks: numbers[3], branches: numbers[4])
    let workers = (0..<numbers[1]).map {
        HollowWorker(
            name: "w\($0)", threads: min(1024, numbers[5]), readAhead: max(0, numbers[5] - 1024), job: job, tally: tally
        )
    }
    try await with(workers, port: numbers[0], tally) {
        let (receipts, seconds) = try await chunks(of: job, tally) {}
        try show(
            WorkLine(
                workers: workers.count, receipts: receipts, seconds: seconds,
                receiptsPerSecond: Double(receipts) / seconds))
    }
case ("polled", 6):
    let tally = Tally()
    let job = HollowJob(files: numbers[2], blocks: numbers[3], branches: numbers[4])
    let workers = (0...numbers[1]).map {
        HollowWorker(
            name: "w\($0)", threads: $0 == 0 ? 1 : min(1024, numbers[5]),
            readAhead: $0 == 0 ? 0 : max(0, numbers[5] - 1024), job: job, tally: tally, measures: $0 == 0)
    }
    try await with(workers, port: numbers[0], tally) {
        let (receipts, seconds) = try await chunks(of: job, tally) {
            tally.counts.withLock { $0.waits = [] }
            FileHandle.standardError.write(Data("chunks\n".utf8))
        }
        let waits = tally.counts.withLock { $0.waits }.sorted()
        try show(
            PolledLine(
                receipts: receipts, seconds: seconds, receiptsPerSecond: Double(receipts) / seconds,
                grants: waits.count, median: waits[waits.count / 2], p99: waits[waits.count * 99 / 100]))
    }
case ("grants", 3):
    let tally = Tally()
    let job = HollowJob(files: 1, blocks: numbers[2], branches: 8)
    let workers = (0...numbers[1]).map {
        HollowWorker(name: "w\($0)", threads: 1, readAhead: 0, job: job, tally: tally, measures: $0 == 0)
    }
    try await with(workers, port: numbers[0], tally) {
        try await wait { tally.counts.withLock { $0.acknowledged >= 2 + numbers[2] } }
        let waits = tally.counts.withLock { $0.waits }.sorted()
        try show(
            GrantLine(
                idle: numbers[1], grants: waits.count, median: waits[waits.count / 2],
                p99: waits[waits.count * 99 / 100], most: waits.last!))
    }
default:
    print("cluster-benchmark: see Benchmarks/ClusterBenchmark/main.swift")
    exit(2)
}
exit(0)
