import Foundation
import Ledger
import Specs

/// Simulates a seed with the real ledger beside the simulated one.
///
/// - Returns: where they differ, or what is wrong with the run; nil where all is well.
/// - Throws: what SQLite throws.
package func differenceOfLedgers(seed: UInt64) throws -> String? {
    let directory = FileManager.default.temporaryDirectory.appending(
        path: "beamline-ledger-\(UUID().uuidString.prefix(8))")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: directory) }
    let ledger = try Ledger(path: directory.appending(path: "ledger.sqlite").path)
    let mirror = LedgerMirror(store: ledger, add: { try ledger.addJob($0, at: 0) }) { job in
        var all: [FoldedSpecs] = []
        try ledger.forEachFolded(job) { _, folded in all.append(folded) }
        return all
    }
    let result = simulate(seed: seed, mirror: mirror)
    guard result.end == .fine else { return "\(result.end)" }
    guard result.transcript == simulate(seed: seed).transcript else { return "another transcript" }
    let mistakes = try LedgerMaintenance(state: directory).check().mistakes
    return mistakes.isEmpty ? nil : mistakes.joined(separator: "; ")
}
