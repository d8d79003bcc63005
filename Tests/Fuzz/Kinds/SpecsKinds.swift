import Cluster
import Specs

extension Kind {
    private static func blocks(_ count: Int, branches: Int) -> [PartTable<PartialSpecs>] {
        (0..<count).map { block in
            PartTable.make { part in
                PartialSpecs(
                    rows: Int64(100 * block + part.rawValue),
                    branches: (0..<branches).map { branch in
                        var statistics = BranchStatistics()
                        (statistics.values, statistics.nonfinite, statistics.multiplicity) = (100, 1, Int64(branch))
                        (statistics.min, statistics.max) = (-1.5, 2.5)
                        (statistics.mean, statistics.squares) = (0.25, 12)
                        return statistics
                    })
            }
        }
    }

    /// Partial specs of chunks, and their fold.
    static let specs = Kind(
        name: "specs", weight: 6,
        seeds: [
            Seed("one", SpecsCoding.encode(blocks(1, branches: 1))),
            Seed("many", SpecsCoding.encode(blocks(7, branches: 3))), Seed("none", SpecsCoding.encode([])),
        ],
        read: { bytes in
            guard (try? SpecsCoding.decode(bytes)) != nil else { return .rejected }
            guard let folded = try? FoldedSpecs([bytes, SpecsCoding.encode(blocks(2, branches: 3)), bytes]) else {
                return .partly
            }
            _ = try? FoldedSpecs(specsBytes: folded.specsBytes, rowBytes: folded.rowBytes)
            return .whole
        })

    /// Folded specs of a file: two bytes with the length of its specs, the specs, its blocks' rows.
    static let folded = Kind(
        name: "folded", weight: 6,
        seeds: [0, 1, 5].map { count in
            let folded = try? FoldedSpecs([SpecsCoding.encode(blocks(count, branches: 2))])
            let (specs, rows) = (folded?.specsBytes ?? [], folded?.rowBytes ?? [])
            return Seed("\(count) blocks", [UInt8(specs.count & 255), UInt8(specs.count >> 8)] + specs + rows)
        },
        read: { bytes in
            guard bytes.count > 2 else { return .rejected }
            let cut = min(bytes.count, 2 + Int(bytes[0]) + Int(bytes[1]) << 8)
            guard let folded = try? FoldedSpecs(specsBytes: Array(bytes[2..<cut]), rowBytes: Array(bytes[cut...]))
            else { return .rejected }
            return (try? FoldedSpecs(specsBytes: folded.specsBytes, rowBytes: folded.rowBytes)) == nil
                ? .partly : .whole
        })
}
