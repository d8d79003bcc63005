import Bytes
package import Cluster
import Columns

/// Statistics of one branch over some entries. Counts, extremes and multiplicities merge in any order; the moments are
/// merged in one canonical order, so that their bytes depend on nothing else.
package struct BranchStatistics: Sendable, Equatable {
    /// Finite values.
    package var values: Int64 = 0
    package var nonfinite: Int64 = 0
    /// Of the finite values; 0 where there are none.
    package var min = 0.0
    package var max = 0.0
    package var mean = 0.0
    /// The sum of squared distances from the mean.
    package var squares = 0.0
    /// The largest number of items in one entry.
    package var multiplicity: Int64 = 0

    package init() {}

    package var deviation: Double { values > 0 ? (squares / Double(values)).squareRoot() : 0 }

    /// Adds statistics that come later in the canonical order (Chan, Golub and LeVeque's update).
    package mutating func merge(_ other: BranchStatistics) {
        // Counts from outside may be too large to be true: their sum must not stop the process.
        nonfinite &+= other.nonfinite
        multiplicity = Swift.max(multiplicity, other.multiplicity)
        guard other.values > 0 else { return }
        guard values > 0 else {
            let kept = (nonfinite, multiplicity)
            self = other
            (nonfinite, multiplicity) = kept
            return
        }
        let total = Double(values &+ other.values)
        let delta = other.mean - mean
        mean += delta * (Double(other.values) / total)
        squares += other.squares + delta * delta * (Double(values) * Double(other.values) / total)
        values &+= other.values
        min = Swift.min(min, other.min)
        max = Swift.max(max, other.max)
    }
}

/// The specs of one part of one block: a partial specs.
package struct PartialSpecs: Sendable, Equatable {
    /// Entries of this part.
    package var rows: Int64
    /// In the order of the chunk's branches.
    package var branches: [BranchStatistics]

    package init(rows: Int64 = 0, branches: [BranchStatistics]) {
        self.rows = rows
        self.branches = branches
    }

    /// Adds specs that come later in the canonical order, of at least as many branches, branch by branch.
    package mutating func merge(_ other: PartialSpecs) {
        rows &+= other.rows
        for index in branches.indices { branches[index].merge(other.branches[index]) }
    }
}

extension PartialSpecs {
    /// The specs of each part of a block, with its entries counted and no values added.
    /// - Parameter parts: for each entry of the block, the code of its part; an entry with another code belongs to
    ///   none.
    package static func empty(parts: ArraySlice<UInt8>, branches: Int) -> PartTable<PartialSpecs> {
        var specs = PartTable(
            repeating: PartialSpecs(branches: .init(repeating: BranchStatistics(), count: branches)))
        for part in SplitPart.allCases {
            let code = part.code
            specs[part].rows = Int64(parts.count { $0 == code })
        }
        return specs
    }
}
