// Times the reader against inflating alone, on the same baskets in the same process. `scripts/bench read` runs it beside the peers.
//
//     read-benchmark specs|inflate THREADS REPETITIONS FILE...
//
// Prints one JSON line a repetition: seconds, events, stored and inflated bytes. Opening the files and warming up are not timed.

import Bytes
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
    FileHandle.standardError.write(Data("usage: read-benchmark specs|inflate THREADS REPETITIONS FILE...\n".utf8))
    exit(2)
}
let mode = arguments[1]

func run() throws {
    let inputs = try arguments[4...].flatMap { path in
        let file = try RootFile(url: path)
        return try file.treeKeys.map { key in
            let tree = try file.tree(key)
            return TreeScan<ColumnExtremes>.Input(file: file, tree: tree, branches: tree.branches.filter { $0.numbers != nil })
        }
    }
    let baskets = try StoredBaskets(inputs.map { ($0.file, $0.branches) })
    for repetition in 0...repetitions {
        var branches = 0
        let time: Double
        switch mode {
        case "specs":
            let scan = TreeScan<ColumnExtremes>(threads: threads)
            time = try seconds {
                for outcome in scan.run(inputs).flatMap({ $0 }) {
                    if case .refused(let error) = outcome { throw error }
                    branches += 1
                }
            }
        case "inflate": time = try seconds { try baskets.inflate(threads: threads) }
        default: throw FormatError(.input, "unknown mode \(mode)", expected: "specs or inflate")
        }
        // The first pass warms the page cache and the buffers.
        guard repetition > 0 else { continue }
        let line = Line(
            mode: mode, threads: threads, seconds: time, events: inputs.reduce(0) { $0 + $1.tree.entries }, branches: branches,
            stored: baskets.storedBytes, inflated: baskets.inflatedBytes)
        print(String(decoding: try JSONEncoder().encode(line), as: UTF8.self))
    }
}

do { try run() } catch {
    FileHandle.standardError.write(Data("read-benchmark: \(error)\n".utf8))
    exit(1)
}
