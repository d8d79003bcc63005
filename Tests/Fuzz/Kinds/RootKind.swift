import Foundation
import RootFormat
import Storage

extension Kind {
    /// ROOT files: small ones of these directories.
    static func root(_ directories: [String]) -> Kind {
        let seeds = directories.flatMap { directory -> [Seed] in
            let names = ((try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? [])
                .filter { $0.hasSuffix(".root") }.sorted()
            return names.compactMap { name in
                guard let data = FileManager.default.contents(atPath: directory + "/" + name), data.count <= 48 << 10
                else { return nil }
                return rootSeed(name, [UInt8](data))
            }
        }
        return Kind(name: "root", weight: 40, seeds: seeds, read: readRoot)
    }

    private static func rootSeed(_ name: String, _ bytes: [UInt8]) -> Seed {
        let (anchors, envelopes) = NTupleChecksums.ranges(in: bytes)
        return Seed(name, bytes, focus: envelopes, mendedQuarters: 3) { damaged in
            var bytes = damaged
            NTupleChecksums.repair(&bytes, anchors: anchors, envelopes: envelopes)
            return bytes
        }
    }

    /// Opens the file, describes every tree and reads every column's first entries and last ones.
    @Sendable private static func readRoot(_ bytes: [UInt8]) -> Outcome {
        guard let file = try? RootFile(MemorySource(bytes)) else { return .rejected }
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
        return errors == 0 ? .whole : columns > errors ? .partly : .rejected
    }
}
