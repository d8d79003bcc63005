import Bytes
import Cluster
import Foundation
import Specs
import Wire

/// What can be said of a receipt by itself: whether it answers what was asked, and its digest.
enum ReceiptCheck {
    /// Of all that it says.
    static func digest(_ receipt: Receipt) -> String {
        let result: [UInt8] =
            if case .counted(let bytes, let seconds) = receipt.result {
                withUnsafeBytes(of: (Int64(bytes), seconds.bitPattern)) { [UInt8]($0) }
            } else {
                [UInt8]((try? WireCoding.body(receipt.result)) ?? Data())
            }
        return String(Digest.sha256(result, receipt.specs).prefix(32))
    }

    private static func broken(_ text: String, _ receipt: Receipt) -> InputError {
        InputError(.corrupt, text, object: "task \(receipt.lease.task)")
    }

    static func list(_ receipt: Receipt) throws(InputError) {
        switch receipt.result {
        case .failed: return
        case .listed(let files):
            guard !files.contains(where: { $0.urls.isEmpty || $0.urls.count > 1000 }) else {
                throw broken("a list has a file without places", receipt)
            }
        case .surveyed, .counted: throw broken("a receipt is not of its task's kind", receipt)
        }
    }

    /// A survey must make sense: all that follows is planned from it.
    static func survey(_ receipt: Receipt) throws(InputError) {
        switch receipt.result {
        case .failed: return
        case .surveyed(let survey):
            let bounds = survey.boundaries
            guard survey.bytes >= 0, (0...Int64(1) << 40).contains(survey.entries), bounds.first == 0,
                bounds.last == survey.entries,
                zip(bounds, bounds.dropFirst()).allSatisfy(<), survey.clusters.count <= bounds.count + 2_000_000
            else { throw broken("a survey's blocks make no sense", receipt) }
            let widths = 1...1 << 24
            guard survey.branches.count <= 100_000,
                survey.branches.allSatisfy({ branch in
                    branch.name.utf8.count <= 4096 && widths.contains(branch.itemValues)
                        && branch.fixedValues.map(widths.contains) ?? true
                })
            else { throw broken("a survey's branches make no sense", receipt) }
        case .listed, .counted: throw broken("a receipt is not of its task's kind", receipt)
        }
    }

    /// Partial specs must be of the task's blocks and branches, and count each entry once.
    static func specs(_ receipt: Receipt, boundaries: ArraySlice<Int64>, branches: Int) throws(InputError) {
        switch receipt.result {
        case .failed: return
        case .counted: break
        case .listed, .surveyed: throw broken("a receipt is not of its task's kind", receipt)
        }
        let blocks = try SpecsCoding.decode(receipt.specs)
        guard blocks.count == boundaries.count - 1, blocks.allSatisfy({ $0.train.branches.count == branches }) else {
            throw broken("a receipt's specs are not of its chunk", receipt)
        }
        let sane = blocks.lazy.flatMap(\.values).allSatisfy { part in
            (0...Int64(1 << 40)).contains(part.rows)
                && part.branches.allSatisfy {
                    (0...Int64(1 << 50)).contains($0.values) && (0...Int64(1 << 50)).contains($0.nonfinite)
                        && (0...Int64(1 << 31)).contains($0.multiplicity)
                }
        }
        guard sane else { throw broken("a receipt's counts make no sense", receipt) }
        for (place, parts) in zip(boundaries.indices, blocks)
        where parts.map(\.rows).total != boundaries[place + 1] - boundaries[place] {
            throw broken("a receipt does not count each entry once", receipt)
        }
    }
}
