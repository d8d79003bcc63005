import CKernels

/// A type of the values in a column, with what is done to them by type: one conformance for each case of `DataType`.
///
/// Code that works on a column's values is generic over this protocol and gets the type from `Column.withValues`, so that no loop
/// over values or entries switches over `DataType`.
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

/// The smallest and the largest of some values, and how many of them are finite. With none, `min` and `max` are of no meaning.
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
    @inlinable
    package static func converted(real: Double, whole: Int64) -> NativeBool {
        NativeBool(byte: whole != 0 || real != 0 ? 1 : 0)
    }

    @usableFromInline
    package static func extremes(_ values: UnsafePointer<NativeBool>, count: Int) -> NativeExtremes<NativeBool> {
        let found = UInt8.extremes(bytes(values), count: count)
        // Any byte but 0 is true.
        return NativeExtremes(
            min: NativeBool(byte: Swift.min(found.min, 1)), max: NativeBool(byte: Swift.min(found.max, 1)),
            finite: count)
    }

    @usableFromInline
    package static func firstMoments(
        _ values: UnsafePointer<NativeBool>, parts: UnsafePointer<UInt8>, count: Int, part: UInt8
    ) -> ck_moments {
        var moments = ck_moments()
        ck_first_moments_bool(bytes(values), parts, count, part, &moments)
        return moments
    }

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

extension Int8: NativeValue {
    @inlinable
    package static var type: DataType { .int8 }
    @inlinable
    package var float32: Float { Float(self) }
    @inlinable
    package var float64: Double { Double(self) }
    @inlinable
    package var int64: Int64 { Int64(self) }
    @inlinable
    package static func converted(real: Double, whole: Int64) -> Int8 { Int8(truncatingIfNeeded: whole) }

    @usableFromInline
    package static func extremes(_ values: UnsafePointer<Int8>, count: Int) -> NativeExtremes<Int8> {
        var (low, high): (Int8, Int8) = (0, 0)
        ck_extremes_i8(values, count, &low, &high)
        return NativeExtremes(min: low, max: high, finite: count)
    }

    @usableFromInline
    package static func firstMoments(
        _ values: UnsafePointer<Int8>, parts: UnsafePointer<UInt8>, count: Int, part: UInt8
    ) -> ck_moments {
        var moments = ck_moments()
        ck_first_moments_i8(values, parts, count, part, &moments)
        return moments
    }

    @usableFromInline
    package static func secondMoment(
        _ values: UnsafePointer<Int8>, parts: UnsafePointer<UInt8>, count: Int, part: UInt8, mean: Double
    ) -> Double {
        ck_second_moment_i8(values, parts, count, part, mean)
    }
}

extension UInt8: NativeValue {
    @inlinable
    package static var type: DataType { .uint8 }
    @inlinable
    package var float32: Float { Float(self) }
    @inlinable
    package var float64: Double { Double(self) }
    @inlinable
    package var int64: Int64 { Int64(self) }
    @inlinable
    package static func converted(real: Double, whole: Int64) -> UInt8 { UInt8(truncatingIfNeeded: whole) }

    @usableFromInline
    package static func extremes(_ values: UnsafePointer<UInt8>, count: Int) -> NativeExtremes<UInt8> {
        var (low, high): (UInt8, UInt8) = (0, 0)
        ck_extremes_u8(values, count, &low, &high)
        return NativeExtremes(min: low, max: high, finite: count)
    }

    @usableFromInline
    package static func firstMoments(
        _ values: UnsafePointer<UInt8>, parts: UnsafePointer<UInt8>, count: Int, part: UInt8
    ) -> ck_moments {
        var moments = ck_moments()
        ck_first_moments_u8(values, parts, count, part, &moments)
        return moments
    }

    @usableFromInline
    package static func secondMoment(
        _ values: UnsafePointer<UInt8>, parts: UnsafePointer<UInt8>, count: Int, part: UInt8, mean: Double
    ) -> Double {
        ck_second_moment_u8(values, parts, count, part, mean)
    }
}

extension Int16: NativeValue {
    @inlinable
    package static var type: DataType { .int16 }
    @inlinable
    package var float32: Float { Float(self) }
    @inlinable
    package var float64: Double { Double(self) }
    @inlinable
    package var int64: Int64 { Int64(self) }
    @inlinable
    package static func converted(real: Double, whole: Int64) -> Int16 { Int16(truncatingIfNeeded: whole) }

    @usableFromInline
    package static func extremes(_ values: UnsafePointer<Int16>, count: Int) -> NativeExtremes<Int16> {
        var (low, high): (Int16, Int16) = (0, 0)
        ck_extremes_i16(values, count, &low, &high)
        return NativeExtremes(min: low, max: high, finite: count)
    }

    @usableFromInline
    package static func firstMoments(
        _ values: UnsafePointer<Int16>, parts: UnsafePointer<UInt8>, count: Int, part: UInt8
    ) -> ck_moments {
        var moments = ck_moments()
        ck_first_moments_i16(values, parts, count, part, &moments)
        return moments
    }

    @usableFromInline
    package static func secondMoment(
        _ values: UnsafePointer<Int16>, parts: UnsafePointer<UInt8>, count: Int, part: UInt8, mean: Double
    ) -> Double {
        ck_second_moment_i16(values, parts, count, part, mean)
    }
}

extension UInt16: NativeValue {
    @inlinable
    package static var type: DataType { .uint16 }
    @inlinable
    package var float32: Float { Float(self) }
    @inlinable
    package var float64: Double { Double(self) }
    @inlinable
    package var int64: Int64 { Int64(self) }
    @inlinable
    package static func converted(real: Double, whole: Int64) -> UInt16 { UInt16(truncatingIfNeeded: whole) }

    @usableFromInline
    package static func extremes(_ values: UnsafePointer<UInt16>, count: Int) -> NativeExtremes<UInt16> {
        var (low, high): (UInt16, UInt16) = (0, 0)
        ck_extremes_u16(values, count, &low, &high)
        return NativeExtremes(min: low, max: high, finite: count)
    }

    @usableFromInline
    package static func firstMoments(
        _ values: UnsafePointer<UInt16>, parts: UnsafePointer<UInt8>, count: Int, part: UInt8
    ) -> ck_moments {
        var moments = ck_moments()
        ck_first_moments_u16(values, parts, count, part, &moments)
        return moments
    }

    @usableFromInline
    package static func secondMoment(
        _ values: UnsafePointer<UInt16>, parts: UnsafePointer<UInt8>, count: Int, part: UInt8, mean: Double
    ) -> Double {
        ck_second_moment_u16(values, parts, count, part, mean)
    }
}

extension Int32: NativeValue {
    @inlinable
    package static var type: DataType { .int32 }
    @inlinable
    package var float32: Float { Float(self) }
    @inlinable
    package var float64: Double { Double(self) }
    @inlinable
    package var int64: Int64 { Int64(self) }
    @inlinable
    package static func converted(real: Double, whole: Int64) -> Int32 { Int32(truncatingIfNeeded: whole) }

    @usableFromInline
    package static func extremes(_ values: UnsafePointer<Int32>, count: Int) -> NativeExtremes<Int32> {
        var (low, high): (Int32, Int32) = (0, 0)
        ck_extremes_i32(values, count, &low, &high)
        return NativeExtremes(min: low, max: high, finite: count)
    }

    @usableFromInline
    package static func firstMoments(
        _ values: UnsafePointer<Int32>, parts: UnsafePointer<UInt8>, count: Int, part: UInt8
    ) -> ck_moments {
        var moments = ck_moments()
        ck_first_moments_i32(values, parts, count, part, &moments)
        return moments
    }

    @usableFromInline
    package static func secondMoment(
        _ values: UnsafePointer<Int32>, parts: UnsafePointer<UInt8>, count: Int, part: UInt8, mean: Double
    ) -> Double {
        ck_second_moment_i32(values, parts, count, part, mean)
    }
}

extension UInt32: NativeValue {
    @inlinable
    package static var type: DataType { .uint32 }
    @inlinable
    package var float32: Float { Float(self) }
    @inlinable
    package var float64: Double { Double(self) }
    @inlinable
    package var int64: Int64 { Int64(self) }
    @inlinable
    package static func converted(real: Double, whole: Int64) -> UInt32 { UInt32(truncatingIfNeeded: whole) }

    @usableFromInline
    package static func extremes(_ values: UnsafePointer<UInt32>, count: Int) -> NativeExtremes<UInt32> {
        var (low, high): (UInt32, UInt32) = (0, 0)
        ck_extremes_u32(values, count, &low, &high)
        return NativeExtremes(min: low, max: high, finite: count)
    }

    @usableFromInline
    package static func firstMoments(
        _ values: UnsafePointer<UInt32>, parts: UnsafePointer<UInt8>, count: Int, part: UInt8
    ) -> ck_moments {
        var moments = ck_moments()
        ck_first_moments_u32(values, parts, count, part, &moments)
        return moments
    }

    @usableFromInline
    package static func secondMoment(
        _ values: UnsafePointer<UInt32>, parts: UnsafePointer<UInt8>, count: Int, part: UInt8, mean: Double
    ) -> Double {
        ck_second_moment_u32(values, parts, count, part, mean)
    }
}

extension Int64: NativeValue {
    @inlinable
    package static var type: DataType { .int64 }
    @inlinable
    package var float32: Float { Float(self) }
    @inlinable
    package var float64: Double { Double(self) }
    @inlinable
    package var int64: Int64 { self }
    @inlinable
    package static func converted(real: Double, whole: Int64) -> Int64 { whole }

    @usableFromInline
    package static func extremes(_ values: UnsafePointer<Int64>, count: Int) -> NativeExtremes<Int64> {
        var (low, high): (Int64, Int64) = (0, 0)
        ck_extremes_i64(values, count, &low, &high)
        return NativeExtremes(min: low, max: high, finite: count)
    }

    @usableFromInline
    package static func firstMoments(
        _ values: UnsafePointer<Int64>, parts: UnsafePointer<UInt8>, count: Int, part: UInt8
    ) -> ck_moments {
        var moments = ck_moments()
        ck_first_moments_i64(values, parts, count, part, &moments)
        return moments
    }

    @usableFromInline
    package static func secondMoment(
        _ values: UnsafePointer<Int64>, parts: UnsafePointer<UInt8>, count: Int, part: UInt8, mean: Double
    ) -> Double {
        ck_second_moment_i64(values, parts, count, part, mean)
    }
}

extension UInt64: NativeValue {
    @inlinable
    package static var type: DataType { .uint64 }
    @inlinable
    package var float32: Float { Float(self) }
    @inlinable
    package var float64: Double { Double(self) }
    @inlinable
    package var int64: Int64 { Int64(bitPattern: self) }
    @inlinable
    package static func converted(real: Double, whole: Int64) -> UInt64 { UInt64(truncatingIfNeeded: whole) }

    @usableFromInline
    package static func extremes(_ values: UnsafePointer<UInt64>, count: Int) -> NativeExtremes<UInt64> {
        var (low, high): (UInt64, UInt64) = (0, 0)
        ck_extremes_u64(values, count, &low, &high)
        return NativeExtremes(min: low, max: high, finite: count)
    }

    @usableFromInline
    package static func firstMoments(
        _ values: UnsafePointer<UInt64>, parts: UnsafePointer<UInt8>, count: Int, part: UInt8
    ) -> ck_moments {
        var moments = ck_moments()
        ck_first_moments_u64(values, parts, count, part, &moments)
        return moments
    }

    @usableFromInline
    package static func secondMoment(
        _ values: UnsafePointer<UInt64>, parts: UnsafePointer<UInt8>, count: Int, part: UInt8, mean: Double
    ) -> Double {
        ck_second_moment_u64(values, parts, count, part, mean)
    }
}

extension Float: NativeValue {
    @inlinable
    package static var type: DataType { .float32 }
    @inlinable
    package var float32: Float { self - self == 0 ? self : .nan }
    @inlinable
    package var float64: Double { Double(self) }
    @inlinable
    package var int64: Int64 { Int64(exactly: rounded(.towardZero)) ?? 0 }
    @inlinable
    package static func converted(real: Double, whole: Int64) -> Float { Float(real) }

    @usableFromInline
    package static func extremes(_ values: UnsafePointer<Float>, count: Int) -> NativeExtremes<Float> {
        var (low, high): (Float, Float) = (0, 0)
        let finite = ck_extremes_f32(values, count, &low, &high)
        return NativeExtremes(min: low, max: high, finite: finite)
    }

    @usableFromInline
    package static func firstMoments(
        _ values: UnsafePointer<Float>, parts: UnsafePointer<UInt8>, count: Int, part: UInt8
    ) -> ck_moments {
        var moments = ck_moments()
        ck_first_moments_f32(values, parts, count, part, &moments)
        return moments
    }

    @usableFromInline
    package static func secondMoment(
        _ values: UnsafePointer<Float>, parts: UnsafePointer<UInt8>, count: Int, part: UInt8, mean: Double
    ) -> Double {
        ck_second_moment_f32(values, parts, count, part, mean)
    }
}

extension Double: NativeValue {
    @inlinable
    package static var type: DataType { .float64 }
    @inlinable
    package var float32: Float { Float(self).float32 }
    @inlinable
    package var float64: Double { self }
    @inlinable
    package var int64: Int64 { Int64(exactly: rounded(.towardZero)) ?? 0 }
    @inlinable
    package static func converted(real: Double, whole: Int64) -> Double { real }

    @usableFromInline
    package static func extremes(_ values: UnsafePointer<Double>, count: Int) -> NativeExtremes<Double> {
        var (low, high): (Double, Double) = (0, 0)
        let finite = ck_extremes_f64(values, count, &low, &high)
        return NativeExtremes(min: low, max: high, finite: finite)
    }

    @usableFromInline
    package static func firstMoments(
        _ values: UnsafePointer<Double>, parts: UnsafePointer<UInt8>, count: Int, part: UInt8
    ) -> ck_moments {
        var moments = ck_moments()
        ck_first_moments_f64(values, parts, count, part, &moments)
        return moments
    }

    @usableFromInline
    package static func secondMoment(
        _ values: UnsafePointer<Double>, parts: UnsafePointer<UInt8>, count: Int, part: UInt8, mean: Double
    ) -> Double {
        ck_second_moment_f64(values, parts, count, part, mean)
    }
}
