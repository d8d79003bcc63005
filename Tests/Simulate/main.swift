import Glibc
import Simulation

// swift run simulate [SEED] [--seeds N] [--seconds S] [--ticks-max N] [--print] [--ledger] [--plant FAULT]
// With --seconds as many seeds as fit, N at most. With --ledger each seed runs with SQLite too, and both must agree.
// Exit codes: 0 all fine, 1 a wrong result, 2 wrong usage, 3 a job that never ends; a trap ends with its signal.

func usage(_ text: String) -> Never {
    print(
        """
        simulate: \(text)
        usage: simulate [SEED] [--seeds N] [--seconds S] [--ticks-max N] [--print] [--ledger] [--plant FAULT]
        faults: \(PlantedFault.allCases.map(\.rawValue).joined(separator: ", "))
        """
    )
    exit(2)
}

var seed: UInt64?
var seeds = 1
var limit: Int?
var ticks = 3_000_000
var prints = false
var mirrors = false
var planted: PlantedFault?
var arguments = CommandLine.arguments.dropFirst().makeIterator()
@MainActor func number(_ name: String) -> Int {
    guard let text = arguments.next(), let value = Int(text), value > 0 else { usage("\(name) wants a number") }
    return value
}
while let argument = arguments.next() {
    switch argument {
    case "--seeds": seeds = number(argument)
    case "--seconds": limit = number(argument)
    case "--ticks-max": ticks = number(argument)
    case "--print": prints = true
    case "--ledger": mirrors = true
    case "--plant":
        guard let fault = arguments.next().flatMap(PlantedFault.init(rawValue:)) else {
            usage("--plant wants one of \(PlantedFault.allCases)")
        }
        planted = fault
    default:
        guard let value = UInt64(argument) else { usage("unknown argument \(argument)") }
        seed = value
    }
}

if limit != nil, seeds == 1 { seeds = .max }
let started = ContinuousClock.now
let first = seed ?? UInt64.random(in: 0..<1 << 40)
var events = 0
var seconds = 0.0
var done = 0
for offset in 0..<UInt64(seeds) {
    if let limit, ContinuousClock.now - started > .seconds(limit) { break }
    done += 1
    let seed = first + offset
    if seeds == 1 || offset == 0 {
        print("seed \(seed)")
        fflush(nil)
    }
    let result = simulate(seed: seed, maxEvents: ticks, planted: planted, prints: prints)
    events += result.events
    seconds += result.seconds
    if seeds == 1 || result.end != .fine {
        print(
            """
            seed \(seed): \(result.end), \(result.events) events, \(Int(result.seconds)) simulated seconds, \
            transcript \(String(result.transcript, radix: 16)); \(result.summary)
            """
        )
    }
    switch result.end {
    case .fine: break
    case .wrong: exit(1)
    case .stuck: exit(3)
    }
    if mirrors, let difference = try differenceOfLedgers(seed: seed) {
        print("seed \(seed): the ledgers differ: \(difference)")
        exit(1)
    }
}
if seeds > 1 { print("\(done) seeds from \(first): fine, \(events) events, \(Int(seconds)) simulated seconds") }
