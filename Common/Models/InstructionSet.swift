import CKernels

/// What the arithmetic of models may use of the processor. The results are the same bits with each.
package enum InstructionSet: Int32, Sendable, CaseIterable {
    /// Plain C; on arm64 this is the native code.
    case portable = 0
    /// x86-64-v3: AVX2 and FMA.
    case avx2 = 1
    /// x86-64-v4.
    case avx512 = 2

    /// The name for people: `portable`, `avx2` or `avx512`.
    package var name: String {
        switch self {
        case .portable: "portable"
        case .avx2: "avx2"
        case .avx512: "avx512"
        }
    }

    /// The set in use: the best that the processor has, unless `use` has named another one.
    package static var current: InstructionSet { InstructionSet(rawValue: ck_instruction_set()) ?? .portable }

    /// Uses this set in the whole process, or the best below it that the processor has.
    ///
    /// - Returns: the set that is used.
    @discardableResult
    package static func use(_ set: InstructionSet) -> InstructionSet {
        InstructionSet(rawValue: ck_use(set.rawValue)) ?? .portable
    }
}
