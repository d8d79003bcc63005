// Reads damaged documents, made from valid ones by a seeded mutator: none may trap, hang or take memory beyond its
// bounds.
//
//     fuzz COUNT SEED THREADS REPOSITORY KIND|all DIRECTORY...
//
// Inputs are numbered from SEED on; the number and the kind make the damage again. After a trap, what was being read is
// in fuzz.state, a line a thread: the number, the kind, the seed's name.

import Dispatch
import Foundation
import Synchronization

let arguments = CommandLine.arguments
guard arguments.count > 6, let count = Int(arguments[1]), let first = UInt64(arguments[2]),
    let threads = Int(arguments[3])
else {
    FileHandle.standardError.write(
        Data("usage: fuzz COUNT SEED THREADS REPOSITORY KIND|all DIRECTORY...\n".utf8))
    exit(2)
}
let repository = arguments[4]
let all: [Kind] = [
    .root(Array(arguments[6...])), .checkpoint, .plainCheckpoint, .onnx, .bundle, .specs, .folded, .workerEnvelope,
    .coordinatorEnvelope,
    .job(repository), .sites(repository), .metalink, .token(NSTemporaryDirectory()),
]
let kinds = arguments[5] == "all" ? all : all.filter { $0.name == arguments[5] }
guard !kinds.isEmpty, kinds.allSatisfy({ !$0.seeds.isEmpty && $0.seeds.allSatisfy { !$0.bytes.isEmpty } }) else {
    let names = all.map { "\($0.name) (\($0.seeds.count) valid ones)" }.joined(separator: ", ")
    FileHandle.standardError.write(Data("fuzz: no such kind, or no valid documents of it; kinds: \(names)\n".utf8))
    exit(2)
}

// An input that asks for more than this ends the process, and is named.
var memory = rlimit(rlim_cur: 16 << 30, rlim_max: 16 << 30)
setrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &memory)

let state = open("fuzz.state", O_RDWR | O_CREAT | O_TRUNC, 0o644)
let next = Atomic<Int>(0)
let totals = Mutex<Tally>(Tally())
let watch = Watch(threads: threads, seconds: 20)
let started = Date()

DispatchQueue.concurrentPerform(iterations: threads) { thread in
    var tally = Tally()
    while true {
        let index = next.add(1, ordering: .relaxed).oldValue
        guard index < count else { break }
        let number = first &+ UInt64(index)
        let kind = Kind.kind(of: number, among: kinds)
        let (seed, bytes) = kind.input(number)
        let note = "\(number) \(kind.name) \(seed.name)"
        let line = note.padding(toLength: 119, withPad: " ", startingAt: 0) + "\n"
        _ = line.withCString { pwrite(state, $0, 120, off_t(thread * 120)) }
        watch.begin(thread, note)
        let start = DispatchTime.now().uptimeNanoseconds
        let outcome = kind.read(bytes)
        let seconds = Double(DispatchTime.now().uptimeNanoseconds - start) * 1e-9
        watch.end(thread)
        tally.add(outcome, seconds: seconds, number: number, kind: kind.name)
        let memory = peakMemory()
        if memory > tally.peak + 32, index > 100 { tally.jumps.append("\(note) to \(memory) MiB") }
        tally.peak = max(tally.peak, memory)
    }
    totals.withLock { $0.merge(tally) }
}

let total = totals.withLock { $0 }
func text(_ seconds: Double) -> String { String(format: "%.3f", seconds) }
for kind in kinds {
    guard let seen = total.counts[kind.name] else { continue }
    print(
        """
        \(kind.name): \(seen.whole) read whole, \(seen.partly) in part, \(seen.rejected) rejected; \
        longest \(text(seen.longest)) s (\(seen.longestNumber)); \(kind.seeds.count) valid ones
        """)
}
print(
    """
    \(count) inputs in \(Int(-started.timeIntervalSinceNow)) s; longest \(text(total.longest)) s; \
    peak memory \(peakMemory()) MiB
    """)
if !total.jumps.isEmpty { print("memory grew with: " + total.jumps.joined(separator: ", ")) }
exit(total.longest < 10 && peakMemory() < 2048 ? 0 : 1)

/// MiB of this process so far.
@Sendable func peakMemory() -> Int {
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    return usage.ru_maxrss / 1024
}
