/// A sum of real numbers as whole numbers, which does not depend on the order of its summands: four digits in base
/// 2^32, of which the last counts multiples of 2^-64. Sums of digits need no carry until they are read; each digit has
/// room for 2^31 summands.
package struct ExactSum: Sendable, Equatable {
    /// The numbers that a sum takes among others that are added.
    package static let digitCount = 4
    /// A summand is below this in size.
    package static let limit = 0x1p63

    /// From the last digit to the first.
    private var digits = SIMD4<Int64>(repeating: 0)

    /// The sum of nothing.
    package init() {}

    /// A summand, rounded to the nearest multiple of 2^-64.
    ///
    /// - Parameter value: nil is returned where it is not a number, or `limit` or more in size.
    package init?(_ value: Double) {
        guard value.magnitude < Self.limit else { return nil }
        // Each difference and each product is exact.
        var rest = (value.magnitude * 0x1p64).rounded(.toNearestOrEven)
        for (index, unit) in [(3, 0x1p96), (2, 0x1p64), (1, 0x1p32)] {
            let digit = (rest / unit).rounded(.down)
            digits[index] = Int64(digit)
            rest -= digit * unit
        }
        digits[0] = Int64(rest)
        if value < 0 { digits = 0 &- digits }
    }

    /// A sum of whole numbers in units of 1 / `Loss.fixedPointUnit`.
    package init(fixedPoint: Int64) { digits[1] = fixedPoint }

    /// The sum that lies from `index` on among others.
    package init(_ sums: Span<Int64>, at index: Int) {
        for digit in 0..<Self.digitCount { digits[digit] = sums[index + digit] }
    }

    /// Adds another sum.
    package static func += (sum: inout ExactSum, other: ExactSum) { sum.digits &+= other.digits }

    /// Adds it to the sum that lies from `index` on among others.
    package func add(to sums: inout MutableSpan<Int64>, at index: Int) {
        for digit in 0..<Self.digitCount { sums[index + digit] &+= digits[digit] }
    }

    /// The sum, rounded. What was added in another order gives the same bits.
    package var value: Double {
        var carried = Self.carried(digits)
        let isNegative = carried[3] < 0
        // Of a negative sum the other digits are complements, whose leading bits would round away.
        if isNegative { carried = Self.carried(0 &- digits) }
        let magnitude = [2, 1, 0].reduce(Double(carried[3])) { $0 * 0x1p32 + Double(carried[$1]) } * 0x1p-64
        return isNegative ? -magnitude : magnitude
    }

    /// The same sum, with all digits but the first from 0 to below 2^32.
    private static func carried(_ digits: SIMD4<Int64>) -> SIMD4<Int64> {
        var result = digits
        for digit in 0..<digitCount - 1 {
            result[digit + 1] &+= result[digit] >> 32
            result[digit] &= 0xFFFF_FFFF
        }
        return result
    }
}
