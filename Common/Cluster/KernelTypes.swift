/// The kernel types of OpenBLAS for x86-64, by the names of OPENBLAS_CORETYPE. Two of them may round a product's last
/// bit otherwise, so all members of a training use the same.
package enum KernelTypes {
    /// The types from the oldest to the newest; a processor that is made for one runs all before it.
    package static let ladder = [
        "Prescott", "Core2", "Penryn", "Nehalem", "Sandybridge", "Haswell", "Zen", "SkylakeX", "Cooperlake",
        "Sapphirerapids",
    ]

    private static func rank(_ name: String) -> Int? { ladder.firstIndex { $0.lowercased() == name.lowercased() } }

    /// Whether a processor that would choose `own` can use `other`.
    package static func runs(_ other: String, on own: String) -> Bool {
        if own == other { return true }
        guard let mine = rank(own), let wanted = rank(other) else { return false }
        return wanted <= mine
    }

    /// What all of the ladder can use; the first where none is in it. Nil for no names.
    package static func oldest(_ names: [String]) -> String? {
        names.compactMap { name in rank(name).map { (rank: $0, name: name) } }.min { $0.rank < $1.rank }?.name
            ?? names.first
    }
}
