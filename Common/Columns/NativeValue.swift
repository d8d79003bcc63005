public import CKernels

/// A type of the values in a column, with what is done to them by type: one conformance for each case of `DataType`.
///
/// Code that works on a column's values is generic over this protocol and gets the type from `Column.withValues`, so
/// that no loop over values or entries switches over `DataType`.
@usableFromInline
package protocol NativeValue: BitwiseCopyable {
    static var type: DataType { get }

    /// The value rounded to Float32; NaN where it is not finite there.
    var float32: Float { get }
    /// The value rounded to Float64.
    var float64: Double { get }
    /// The low 64 bits of a whole number; a real is truncated toward zero, and is 0 where Int64 cannot hold it.
    var int64: Int64 { get }

    /// This type's value for a number that is given rounded to Float64 and as the low 64 bits of a whole number.
    static func converted(real: Double, whole: Int64) -> Self

    /// The extremes of the finite ones of `count` values.
    static func extremes(_ values: UnsafePointer<Self>, count: Int) -> NativeExtremes<Self>

    /// The counts, the sum and the extremes of those of `count` values whose part is `part`.
    static func firstMoments(
        _ values: UnsafePointer<Self>, parts: UnsafePointer<UInt8>, count: Int, part: UInt8
    ) -> ck_moments
    /// The sum of squared distances from `mean` of the values that `firstMoments` counts as finite.
    static func secondMoment(
        _ values: UnsafePointer<Self>, parts: UnsafePointer<UInt8>, count: Int, part: UInt8, mean: Double
    ) -> Double
}

/// The smallest and the largest of some values, and how many of them are finite. With none, `min` and `max` are of no
/// meaning.
@usableFromInline
package struct NativeExtremes<Value: NativeValue> {
    package var min: Value
    package var max: Value
    package var finite: Int

    init(min: Value, max: Value, finite: Int) {
        self.min = min
        self.max = max
        self.finite = finite
    }
}

/// A boolean as ROOT stores it: a byte that is true where it is not 0.
@usableFromInline
package struct NativeBool: Equatable, BitwiseCopyable, Sendable {
    @usableFromInline
    package var byte: UInt8

    @inlinable
    package init(byte: UInt8) { self.byte = byte }

    @inlinable
    package var isTrue: Bool { byte != 0 }
}

extension NativeBool: NativeValue {
    @inlinable
    package static var type: DataType { .bool }
    @inlinable
    package var float32: Float { isTrue ? 1 : 0 }
    @inlinable
    package var float64: Double { isTrue ? 1 : 0 }
    @inlinable
    package var int64: Int64 { Int64(byte) }

    /// True where either form of the number is not 0.
    @inlinable
    package static func converted(real: Double, whole: Int64) -> NativeBool {
        NativeBool(byte: whole != 0 || real != 0 ? 1 : 0)
    }

    /// Whether all values are true, and whether any is, as `min` and `max`; without values both are false. All count as
    /// finite.
    @usableFromInline
    package static func extremes(_ values: UnsafePointer<NativeBool>, count: Int) -> NativeExtremes<NativeBool> {
        let found = UInt8.extremes(bytes(values), count: count)
        // Any byte but 0 is true.
        return NativeExtremes(
            min: NativeBool(byte: Swift.min(found.min, 1)), max: NativeBool(byte: Swift.min(found.max, 1)),
            finite: count)
    }

    /// The counts, the sum and the extremes of the values of `part`, true as 1 and false as 0; all of them count as
    /// good.
    @usableFromInline
    package static func firstMoments(
        _ values: UnsafePointer<NativeBool>, parts: UnsafePointer<UInt8>, count: Int, part: UInt8
    ) -> ck_moments {
        var moments = ck_moments()
        ck_first_moments_bool(bytes(values), parts, count, part, &moments)
        return moments
    }

    /// The sum over the values of `part` of their squared distances from `mean`, in Float64.
    @usableFromInline
    package static func secondMoment(
        _ values: UnsafePointer<NativeBool>, parts: UnsafePointer<UInt8>, count: Int, part: UInt8, mean: Double
    ) -> Double {
        ck_second_moment_bool(bytes(values), parts, count, part, mean)
    }

    private static func bytes(_ values: UnsafePointer<NativeBool>) -> UnsafePointer<UInt8> {
        UnsafeRawPointer(values).assumingMemoryBound(to: UInt8.self)
    }
}
