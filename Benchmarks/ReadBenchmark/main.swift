// Times the reader against inflating alone, on the same baskets in the same process. `scripts/bench read` runs it
// beside the peers.
//
//     read-benchmark specs|stage|inflate THREADS REPETITIONS FILE...
//
// `specs`: minimum, maximum and multiplicity of every branch. `stage`: what a worker does for a job's specs, in chunks
// of 100,000 events (moments as well, by training, validation and test part). `inflate`: the same baskets inflated, and
// nothing else.
//
// Prints one JSON line a repetition: seconds, events, stored and inflated bytes; of `specs` at last the results.
// Opening the files and warming up are not timed.

import Bytes
import Cluster
import Dispatch
import Foundation
import Pipeline
import RootFormat
import Storage
import Synchronization

struct Line: Encodable {
    var mode: String
    var threads: Int
    var seconds: Double
    var events: Int64
    var branches: Int
    var stored: Int
    var inflated: Int
}

func seconds(_ body: () throws -> Void) rethrows -> Double {
    let start = DispatchTime.now().uptimeNanoseconds
    try body()
    return Double(DispatchTime.now().uptimeNanoseconds - start) * 1e-9
}

let arguments = CommandLine.arguments
guard arguments.count > 4, let threads = Int(arguments[2]), let repetitions = Int(arguments[3]), threads > 0 else {
    FileHandle.standardError.write(Data("usage: read-benchmark specs|stage|inflate THREADS REPETITIONS FILE...\n".utf8))
    exit(2)
}
let mode = arguments[1]

func run() throws {
    let inputs = try arguments[4...].flatMap { path in
        let file = try RootFile(url: path)
        return try file.treeKeys.map { key in
            let tree = try file.tree(key)
            return TreeScan<ColumnExtremes>.Input(
                file: file, tree: tree, branches: tree.branches.filter { $0.numbers != nil })
        }
    }
    let baskets = try StoredBaskets(inputs.map { ($0.file, $0.branches) })
    var results: [String: [Double]] = [:]
    for repetition in 0...repetitions {
        var branches = 0
        let time: Double
        switch mode {
        case "specs":
            let scan = TreeScan<ColumnExtremes>(threads: threads)
            time = try seconds {
                for (input, outcomes) in zip(inputs, scan.run(inputs)) {
                    for (branch, outcome) in zip(input.branches, outcomes) {
                        try merge(branch.name, outcome, into: &results)
                    }
                    branches += outcomes.count
                }
            }
        case "stage": time = try seconds { branches = try stage(threads) }
        case "inflate": time = try seconds { try baskets.inflate(threads: threads) }
        default: throw InputError(.input, "unknown mode \(mode)", expected: "specs, stage or inflate")
        }
        // The first pass warms the page cache and the buffers.
        guard repetition > 0 else { continue }
        let line = Line(
            mode: mode, threads: threads, seconds: time, events: inputs.reduce(0) { $0 + $1.tree.entries },
            branches: branches,
            stored: baskets.storedBytes, inflated: baskets.inflatedBytes)
        print(String(decoding: try JSONEncoder().encode(line), as: UTF8.self))
    }
    if mode == "specs" { print(String(decoding: try JSONEncoder().encode(["results": results]), as: UTF8.self)) }
}

func merge(_ name: String, _ outcome: TreeScan<ColumnExtremes>.Outcome, into results: inout [String: [Double]]) throws {
    switch outcome {
    case .unreadable(let error): throw error
    case .read(let extremes):
        guard let low = extremes.min?.asDouble, let high = extremes.max?.asDouble else { return }
        let width = Double(extremes.multiplicities[0])
        let old = results[name] ?? [low, high, width]
        results[name] = [min(old[0], low), max(old[1], high), max(old[2], width)]
    }
}

/// The specs stage of a job, without the network: the tasks a coordinator would assign, on `threads` readers.
@Sendable func stage(_ threads: Int) throws -> Int {
    let resources = ReadResources(threads: threads)
    let surveyor = BlockReader(resources, localRoots: ["/"])
    var tasks: [(chunk: ChunkTask, plan: ChunkPlan)] = []
    for path in arguments[4...] {
        let survey = try surveyor.survey(FileReplicas(path), tree: "Events", verify: false)
        let branches = survey.branches.filter { $0.unsupported == nil }.map(\.name)
        var start = 0
        while start + 1 < survey.boundaries.count {
            let end = survey.boundaries[start...].lastIndex { $0 - survey.boundaries[start] <= 100_000 }!
            let stop = max(end, start + 1)
            let input = InputTree(FileReplicas(path), tree: "Events", identity: survey.identity)
            tasks.append(
                (
                    ChunkTask(input, boundaries: Array(survey.boundaries[start...stop])),
                    ChunkPlan(branches: branches, split: .init())
                ))
            start = stop
        }
    }
    let next = Atomic<Int>(0)
    let failure = Mutex<InputError?>(nil)
    let all = tasks
    DispatchQueue.concurrentPerform(iterations: threads) { _ in
        let reader = BlockReader(resources, localRoots: ["/"])
        while true {
            let index = next.add(1, ordering: .relaxed).oldValue
            guard index < all.count else { return }
            do throws(InputError) { _ = try reader.specs(all[index].chunk, all[index].plan) } catch {
                failure.withLock { $0 = error }
            }
        }
    }
    if let error = failure.withLock({ $0 }) { throw error }
    return tasks.reduce(0) { $0 + $1.plan.branches.count }
}

do { try run() } catch {
    FileHandle.standardError.write(Data("read-benchmark: \(error)\n".utf8))
    exit(1)
}
