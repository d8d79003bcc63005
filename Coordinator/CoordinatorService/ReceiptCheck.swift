import Bytes
import Cluster
import Foundation
import Specs
import Wire

/// What a receipt shows by itself: whether it answers what was asked, and its digest.
enum ReceiptCheck {
    /// The digest of everything in a receipt, by which a copy of it is recognised; 32 hexadecimal digits.
    static func digest(_ receipt: Receipt) -> String {
        let result: [UInt8] =
            if case .counted(let bytes, let seconds) = receipt.result {
                withUnsafeBytes(of: (Int64(bytes), seconds.bitPattern)) { [UInt8]($0) }
            } else {
                [UInt8]((try? WireCoding.body(receipt.result)) ?? Data())
            }
        return String(Digest.sha256(result, receipt.specs).prefix(32))
    }

    private static func invalid(
        _ receipt: Receipt, _ message: String, expected: String, found: String
    ) -> InputError {
        InputError(.corrupt, message, object: "task \(receipt.lease.task)", expected: expected, found: found)
    }

    private static func otherKind(_ receipt: Receipt, expected: String) -> InputError {
        let found =
            switch receipt.result {
            case .listed: "a list"
            case .surveyed: "a survey"
            case .counted: "partial specs"
            case .failed: "a failure"
            }
        return invalid(receipt, "a receipt is not of its task's kind", expected: expected, found: found)
    }

    /// A list has files, within the bounds of a listing; each has URLs.
    static func list(_ receipt: Receipt) throws(InputError) {
        switch receipt.result {
        case .failed: return
        case .listed(let files, let repeated):
            guard files.count <= ListingLimits.files, (0...Int64(1) << 40).contains(Int64(repeated ?? 0)) else {
                throw invalid(
                    receipt, "a list has too many files", expected: "at most \(ListingLimits.files)",
                    found: "\(files.count), and \(repeated ?? 0) repeated")
            }
            let names = files.lazy.flatMap { $0.urls + [$0.logicalName] }
            if let name = names.first(where: { $0.utf8.count > ListingLimits.nameBytes || hasControlCharacter($0) }) {
                throw invalid(
                    receipt, "a file of a list has an invalid name",
                    expected: "at most \(ListingLimits.nameBytes) bytes without control characters",
                    found: withoutControlCharacters(name))
            }
            if let file = files.first(where: { $0.urls.isEmpty || $0.urls.count > 1000 }) {
                throw invalid(
                    receipt, "a file of a list has an invalid number of replicas", expected: "1 to 1000",
                    found: "\(file.urls.count)")
            }
        case .surveyed, .counted: throw otherKind(receipt, expected: "a list")
        }
    }

    /// A survey must be consistent: all that follows is planned from it.
    static func survey(_ receipt: Receipt) throws(InputError) {
        switch receipt.result {
        case .failed: return
        case .surveyed(let survey):
            try blocks(of: survey, receipt)
            let widths = 1...1 << 24
            guard survey.branches.count <= 100_000 else {
                throw invalid(
                    receipt, "a survey has too many branches", expected: "at most 100000",
                    found: "\(survey.branches.count)")
            }
            let wrong = survey.branches.first { branch in
                branch.name.utf8.count > 4096 || !widths.contains(branch.itemValues)
                    || !(branch.fixedValues.map(widths.contains) ?? true)
            }
            if let wrong {
                throw invalid(
                    receipt, "a branch of a survey is invalid",
                    expected: "a name of at most 4096 bytes and 1 to \(widths.upperBound) values an item",
                    found:
                        """
                        \(wrong.name.utf8.count) bytes, \(wrong.itemValues) values an item, \
                        \(wrong.fixedValues.map(String.init) ?? "any number of") values an entry
                        """
                )
            }
        case .listed, .counted: throw otherKind(receipt, expected: "a survey")
        }
    }

    private static func blocks(of survey: Survey, _ receipt: Receipt) throws(InputError) {
        let bounds = survey.boundaries
        guard survey.bytes >= 0, (0...Int64(1) << 40).contains(survey.entries) else {
            throw invalid(
                receipt, "a survey's size is invalid", expected: "0 to 2^40 entries, and bytes that are not negative",
                found: "\(survey.entries) entries, \(survey.bytes) bytes")
        }
        guard bounds.first == 0, bounds.last == survey.entries, zip(bounds, bounds.dropFirst()).allSatisfy(<),
            survey.clusters.count <= bounds.count + 2_000_000
        else {
            throw invalid(
                receipt, "a survey's blocks are invalid",
                expected: "boundaries that rise from 0 to \(survey.entries)",
                found:
                    """
                    \(bounds.count) boundaries from \(bounds.first ?? -1) to \(bounds.last ?? -1), \
                    \(survey.clusters.count) clusters
                    """
            )
        }
    }

    /// Partial specs must be of the task's blocks and branches, and count each entry once.
    static func specs(_ receipt: Receipt, boundaries: ArraySlice<Int64>, branches: Int) throws(InputError) {
        switch receipt.result {
        case .failed: return
        case .counted: break
        case .listed, .surveyed: throw otherKind(receipt, expected: "partial specs")
        }
        let blocks = try SpecsCoding.decode(receipt.specs)
        guard blocks.count == boundaries.count - 1, blocks.allSatisfy({ $0.train.branches.count == branches }) else {
            throw invalid(
                receipt, "a receipt's specs are not of its chunk",
                expected: "\(boundaries.count - 1) blocks of \(branches) branches",
                found: "\(blocks.count) blocks of \(blocks.first?.train.branches.count ?? 0) branches")
        }
        for part in blocks.lazy.flatMap(\.values) { try plausible(part, receipt) }
        for (index, parts) in zip(boundaries.indices, blocks) {
            let (counted, entries) = (parts.map(\.rows).total, boundaries[index + 1] - boundaries[index])
            guard counted == entries else {
                throw invalid(
                    receipt, "a receipt does not count each entry once", expected: "\(entries) entries in a block",
                    found: "\(counted)")
            }
        }
    }

    /// Counts beyond what any tree has would overflow when they are merged.
    private static func plausible(_ part: PartialSpecs, _ receipt: Receipt) throws(InputError) {
        let values = 0...Int64(1 << 50)
        guard (0...Int64(1 << 40)).contains(part.rows) else {
            throw invalid(receipt, "a receipt's count is invalid", expected: "0 to 2^40 entries", found: "\(part.rows)")
        }
        for branch in part.branches {
            guard values.contains(branch.values), values.contains(branch.nonfinite),
                (0...Int64(1 << 31)).contains(branch.multiplicity)
            else {
                throw invalid(
                    receipt, "a receipt's count is invalid", expected: "0 to 2^50 values, multiplicities to 2^31",
                    found:
                        "\(branch.values) values, \(branch.nonfinite) nonfinite, multiplicity \(branch.multiplicity)")
            }
        }
    }
}
