import Cluster
import Foundation
import Ledger
import Simulation
import Specs
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

    @Test func freshSeeds() {
        let first = UInt64.random(in: 1 << 20..<1 << 40)
        print("simulation: fresh seeds from \(first)")
        for seed in first..<first + 300 { check(seed) }
    }

    @Test(arguments: PlantedFault.allCases) func plantedFaultsAreCaught(_ fault: PlantedFault) {
        let caught = (0..<UInt64(60)).count { seed in
            if case .wrong = simulate(seed: seed, planted: fault).end { true } else { false }
        }
        #expect(caught >= 10, "\(fault) was caught with \(caught) of 60 seeds")
    }

    @Test func oneSeedGivesOneTranscriptInTwoProcesses() throws {
        func run() throws -> String {
            let process = Process()
            process.executableURL = Self.program
            process.arguments = ["4711"]
            let pipe = Pipe()
            process.standardOutput = pipe
            try process.run()
            let output = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            process.waitUntilExit()
            #expect(process.terminationStatus == 0, "\(output)")
            return output
        }
        let first = try run()
        #expect(first.contains("transcript"))
        #expect(try first == run())
    }

    /// The real ledger is told what the simulated one is told, through all its restarts, and gives the same answers.
    @Test func theRealLedgerIsAsTheSimulatedOne() throws {
        let first = UInt64.random(in: 1 << 20..<1 << 40)
        print("simulation with SQLite: fresh seeds from \(first)")
        for seed in Array(0..<12) + Array(first..<first + 8) {
            let directory = FileManager.default.temporaryDirectory.appending(
                path: "beamline-ledger-\(UUID().uuidString.prefix(8))")
            try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(at: directory) }
            let path = directory.appending(path: "ledger.sqlite").path
            let ledger = try Ledger(path: path)
            let mirror = LedgerMirror(store: ledger, add: { try ledger.addJob($0, at: 0) }) { job in
                var all: [FoldedSpecs] = []
                try ledger.forEachFolded(job) { _, folded in all.append(folded) }
                return all
            }
            let result = simulate(seed: seed, mirror: mirror)
            #expect(result.end == .fine, "seed \(seed): \(result.end)")
            #expect(result.transcript == simulate(seed: seed).transcript, "seed \(seed)")
            let report = try LedgerMaintenance(state: directory).check()
            #expect(report.mistakes.isEmpty, "seed \(seed): \(report.mistakes)")
        }
    }
}
