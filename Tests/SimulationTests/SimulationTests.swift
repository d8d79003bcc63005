import Foundation
import Simulation
import TestKit
import Testing

@Suite struct SimulationTests {
    private static let program = URL(filePath: #filePath).deletingLastPathComponent().appending(
        path: "../../.build/release/simulate"
    ).standardizedFileURL

    @discardableResult
    private func check(_ seed: UInt64) -> SimResult {
        let result = simulate(seed: seed)
        #expect(result.end == .fine, "seed \(seed): \(result.end)")
        return result
    }

    /// Faults may end a job, but most must be done.
    @Test func fixedSeeds() {
        let results = (0..<UInt64(300)).map { check($0) }
        let (jobs, done) = (results.reduce(0) { $0 + $1.jobs }, results.reduce(0) { $0 + $1.done })
        #expect(Double(done) > 0.6 * Double(jobs), "\(done) of \(jobs) jobs are done")
    }

    @Test(arguments: PlantedFault.allCases) func plantedFaultsAreCaught(_ fault: PlantedFault) {
        let caught = (0..<UInt64(60)).count { seed in
            if case .wrong = simulate(seed: seed, planted: fault).end { true } else { false }
        }
        #expect(caught >= 10, "\(fault) was caught with \(caught) of 60 seeds")
    }

    @Test func oneSeedGivesOneTranscriptInTwoProcesses() throws {
        func run() throws -> String {
            let found = try Process.result(Self.program.path, ["4711"])
            let output = String(decoding: found.output, as: UTF8.self)
            #expect(found.status == 0, "\(output)")
            return output
        }
        let first = try run()
        #expect(first.contains("transcript"))
        #expect(try first == run())
    }

    /// The real ledger gets what the simulated one gets, through all its restarts, and gives the same answers. Fresh
    /// seeds are `scripts/test`'s to try (`simulate --ledger`).
    @Test func theRealLedgerIsAsTheSimulatedOne() throws {
        for seed in UInt64(0)..<20 {
            #expect(try differenceOfLedgers(seed: seed) == nil, "seed \(seed)")
        }
    }
}
