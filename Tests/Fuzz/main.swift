// Reads damaged ROOT files, made from good ones by a seeded mutator: none may trap, hang or take memory beyond its bounds.
//
//     fuzz-root COUNT SEED THREADS DIRECTORY...
//
// Inputs are numbered from SEED on; the number alone makes the damage again. After a trap, the numbers that were being read stand in
// fuzz-root.state (one line a thread): `fuzz-root 1 NUMBER 1 DIRECTORY...` repeats one.

import Bytes
import Dispatch
import Foundation
import RootFormat
import Storage
import Synchronization

let arguments = CommandLine.arguments
guard arguments.count > 4, let count = Int(arguments[1]), let first = UInt64(arguments[2]),
    let threads = Int(arguments[3])
else {
    FileHandle.standardError.write(Data("usage: fuzz-root COUNT SEED THREADS DIRECTORY...\n".utf8))
    exit(2)
}

/// Good files small enough to be read thousands of times a second.
let seeds: [Seed] = arguments[4...].flatMap { directory -> [Seed] in
    let names = ((try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []).filter {
        $0.hasSuffix(".root")
    }.sorted()
    return names.compactMap { name in
        guard let data = FileManager.default.contents(atPath: directory + "/" + name), data.count <= 48 << 10 else {
            return nil
        }
        return Seed(name: name, bytes: [UInt8](data))
    }
}
guard !seeds.isEmpty else {
    FileHandle.standardError.write(
        Data("fuzz-root: no ROOT files of at most 48 KiB in \(arguments[4...].joined(separator: " "))\n".utf8))
    exit(2)
}

let state = open("fuzz-root.state", O_RDWR | O_CREAT | O_TRUNC, 0o644)
let next = Atomic<Int>(0)
let totals = Mutex<Tally>(Tally())
let started = Date()

DispatchQueue.concurrentPerform(iterations: threads) { thread in
    var tally = Tally()
    while true {
        let index = next.add(1, ordering: .relaxed).oldValue
        guard index < count else { break }
        let number = first &+ UInt64(index)
        var random = Mutator(number)
        let seed = seeds[Int(random.next() % UInt64(seeds.count))]
        let note = "\(number) \(seed.name)".padding(toLength: 119, withPad: " ", startingAt: 0) + "\n"
        _ = note.withCString { pwrite(state, $0, 120, off_t(thread * 120)) }
        let start = DispatchTime.now().uptimeNanoseconds
        tally.add(read(random.damage(seed)))
        let taken = Double(DispatchTime.now().uptimeNanoseconds - start) * 1e-9
        if taken > tally.longest { (tally.longest, tally.longestNumber) = (taken, number) }
        let memory = peakMemory()
        if memory > tally.peak + 32, index > 100 { tally.jumps.append("\(number) (\(seed.name)) to \(memory) MiB") }
        tally.peak = max(tally.peak, memory)
    }
    totals.withLock { $0.merge(tally) }
}

let total = totals.withLock { $0 }
print(
    "\(count) inputs from \(seeds.count) files in \(Int(-started.timeIntervalSinceNow)) s: \(total.whole) read whole, \(total.partly) in part, "
        + "\(total.refused) refused; longest \(String(format: "%.3f", total.longest)) s (\(total.longestNumber)); peak memory \(peakMemory()) MiB"
)
if !total.jumps.isEmpty { print("memory grew with: " + total.jumps.joined(separator: ", ")) }
exit(total.longest < 10 ? 0 : 1)

/// MiB of this process so far.
@Sendable func peakMemory() -> Int {
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    return usage.ru_maxrss / 1024
}

struct Tally: Sendable {
    var peak = 0
    /// Inputs after which the process had grown by more than 32 MiB.
    var jumps: [String] = []
    var whole = 0
    var partly = 0
    var refused = 0
    var longest = 0.0
    var longestNumber: UInt64 = 0

    mutating func add(_ outcome: Outcome) {
        switch outcome {
        case .whole: whole += 1
        case .partly: partly += 1
        case .refused: refused += 1
        }
    }

    mutating func merge(_ other: Tally) {
        whole += other.whole
        partly += other.partly
        refused += other.refused
        jumps += other.jumps
        if other.longest > longest { (longest, longestNumber) = (other.longest, other.longestNumber) }
    }
}

enum Outcome { case whole, partly, refused }

/// Opens the file, describes every tree and reads every column's first entries and last ones.
@Sendable func read(_ bytes: [UInt8]) -> Outcome {
    guard let file = try? RootFile(MemorySource(bytes)) else { return .refused }
    var errors = 0
    var columns = 0
    let decoder = ColumnDecoder()
    for key in file.allTreeKeys.prefix(8) {
        guard let tree = try? file.tree(key) else {
            errors += 1
            continue
        }
        _ = tree.blockBoundaries().count
        for branch in tree.branches.prefix(400) where branch.column != nil {
            let entries = min(tree.entries, branch.entries)
            for range in Set([0..<min(entries, 2000), max(0, entries - 50)..<entries]) where !range.isEmpty {
                columns += 1
                do {
                    let plan = try EntryPlan(tree: tree, branches: [branch], entries: range)
                    // What is fetched is bounded by the file; ranges may repeat it only so often.
                    guard plan.ranges.reduce(0, { $0 &+ min($1.length, bytes.count) }) <= 64 * bytes.count else {
                        errors += 1
                        continue
                    }
                    try decoder.forEachColumn(plan, try file.source.read(plan.ranges)) { _, column in
                        _ = column.valueRange(0..<column.entries)
                    }
                } catch { errors += 1 }
            }
        }
    }
    return errors == 0 ? .whole : columns > errors ? .partly : .refused
}
