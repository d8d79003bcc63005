public import CKernels

extension Int8: NativeValue {
    @inlinable
    package static var type: DataType { .int8 }
    @inlinable
    package var float32: Float { Float(self) }
    @inlinable
    package var float64: Double { Double(self) }
    @inlinable
    package var int64: Int64 { Int64(self) }

    /// The low 8 bits of `whole`.
    @inlinable
    package static func converted(real: Double, whole: Int64) -> Int8 { Int8(truncatingIfNeeded: whole) }

    /// The smallest and the largest value, both 0 where there are none; all count as finite.
    @usableFromInline
    package static func extremes(_ values: UnsafePointer<Int8>, count: Int) -> NativeExtremes<Int8> {
        var (low, high): (Int8, Int8) = (0, 0)
        ck_extremes_i8(values, count, &low, &high)
        return NativeExtremes(min: low, max: high, finite: count)
    }

    /// The counts, the sum and the extremes in Float64 of the values of `part`; all of them count as good.
    @usableFromInline
    package static func firstMoments(
        _ values: UnsafePointer<Int8>, parts: UnsafePointer<UInt8>, count: Int, part: UInt8
    ) -> ck_moments {
        var moments = ck_moments()
        ck_first_moments_i8(values, parts, count, part, &moments)
        return moments
    }

    /// The sum over the values of `part` of their squared distances from `mean`, in Float64.
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

    /// The low 8 bits of `whole`.
    @inlinable
    package static func converted(real: Double, whole: Int64) -> UInt8 { UInt8(truncatingIfNeeded: whole) }

    /// The smallest and the largest value, both 0 where there are none; all count as finite.
    @usableFromInline
    package static func extremes(_ values: UnsafePointer<UInt8>, count: Int) -> NativeExtremes<UInt8> {
        var (low, high): (UInt8, UInt8) = (0, 0)
        ck_extremes_u8(values, count, &low, &high)
        return NativeExtremes(min: low, max: high, finite: count)
    }

    /// The counts, the sum and the extremes in Float64 of the values of `part`; all of them count as good.
    @usableFromInline
    package static func firstMoments(
        _ values: UnsafePointer<UInt8>, parts: UnsafePointer<UInt8>, count: Int, part: UInt8
    ) -> ck_moments {
        var moments = ck_moments()
        ck_first_moments_u8(values, parts, count, part, &moments)
        return moments
    }

    /// The sum over the values of `part` of their squared distances from `mean`, in Float64.
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

    /// The low 16 bits of `whole`.
    @inlinable
    package static func converted(real: Double, whole: Int64) -> Int16 { Int16(truncatingIfNeeded: whole) }

    /// The smallest and the largest value, both 0 where there are none; all count as finite.
    @usableFromInline
    package static func extremes(_ values: UnsafePointer<Int16>, count: Int) -> NativeExtremes<Int16> {
        var (low, high): (Int16, Int16) = (0, 0)
        ck_extremes_i16(values, count, &low, &high)
        return NativeExtremes(min: low, max: high, finite: count)
    }

    /// The counts, the sum and the extremes in Float64 of the values of `part`; all of them count as good.
    @usableFromInline
    package static func firstMoments(
        _ values: UnsafePointer<Int16>, parts: UnsafePointer<UInt8>, count: Int, part: UInt8
    ) -> ck_moments {
        var moments = ck_moments()
        ck_first_moments_i16(values, parts, count, part, &moments)
        return moments
    }

    /// The sum over the values of `part` of their squared distances from `mean`, in Float64.
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

    /// The low 16 bits of `whole`.
    @inlinable
    package static func converted(real: Double, whole: Int64) -> UInt16 { UInt16(truncatingIfNeeded: whole) }

    /// The smallest and the largest value, both 0 where there are none; all count as finite.
    @usableFromInline
    package static func extremes(_ values: UnsafePointer<UInt16>, count: Int) -> NativeExtremes<UInt16> {
        var (low, high): (UInt16, UInt16) = (0, 0)
        ck_extremes_u16(values, count, &low, &high)
        return NativeExtremes(min: low, max: high, finite: count)
    }

    /// The counts, the sum and the extremes in Float64 of the values of `part`; all of them count as good.
    @usableFromInline
    package static func firstMoments(
        _ values: UnsafePointer<UInt16>, parts: UnsafePointer<UInt8>, count: Int, part: UInt8
    ) -> ck_moments {
        var moments = ck_moments()
        ck_first_moments_u16(values, parts, count, part, &moments)
        return moments
    }

    /// The sum over the values of `part` of their squared distances from `mean`, in Float64.
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

    /// The low 32 bits of `whole`.
    @inlinable
    package static func converted(real: Double, whole: Int64) -> Int32 { Int32(truncatingIfNeeded: whole) }

    /// The smallest and the largest value, both 0 where there are none; all count as finite.
    @usableFromInline
    package static func extremes(_ values: UnsafePointer<Int32>, count: Int) -> NativeExtremes<Int32> {
        var (low, high): (Int32, Int32) = (0, 0)
        ck_extremes_i32(values, count, &low, &high)
        return NativeExtremes(min: low, max: high, finite: count)
    }

    /// The counts, the sum and the extremes in Float64 of the values of `part`; all of them count as good.
    @usableFromInline
    package static func firstMoments(
        _ values: UnsafePointer<Int32>, parts: UnsafePointer<UInt8>, count: Int, part: UInt8
    ) -> ck_moments {
        var moments = ck_moments()
        ck_first_moments_i32(values, parts, count, part, &moments)
        return moments
    }

    /// The sum over the values of `part` of their squared distances from `mean`, in Float64.
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

    /// The low 32 bits of `whole`.
    @inlinable
    package static func converted(real: Double, whole: Int64) -> UInt32 { UInt32(truncatingIfNeeded: whole) }

    /// The smallest and the largest value, both 0 where there are none; all count as finite.
    @usableFromInline
    package static func extremes(_ values: UnsafePointer<UInt32>, count: Int) -> NativeExtremes<UInt32> {
        var (low, high): (UInt32, UInt32) = (0, 0)
        ck_extremes_u32(values, count, &low, &high)
        return NativeExtremes(min: low, max: high, finite: count)
    }

    /// The counts, the sum and the extremes in Float64 of the values of `part`; all of them count as good.
    @usableFromInline
    package static func firstMoments(
        _ values: UnsafePointer<UInt32>, parts: UnsafePointer<UInt8>, count: Int, part: UInt8
    ) -> ck_moments {
        var moments = ck_moments()
        ck_first_moments_u32(values, parts, count, part, &moments)
        return moments
    }

    /// The sum over the values of `part` of their squared distances from `mean`, in Float64.
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

    /// `whole` as it is.
    @inlinable
    package static func converted(real: Double, whole: Int64) -> Int64 { whole }

    /// The smallest and the largest value, both 0 where there are none; all count as finite.
    @usableFromInline
    package static func extremes(_ values: UnsafePointer<Int64>, count: Int) -> NativeExtremes<Int64> {
        var (low, high): (Int64, Int64) = (0, 0)
        ck_extremes_i64(values, count, &low, &high)
        return NativeExtremes(min: low, max: high, finite: count)
    }

    /// The counts, the sum and the extremes in Float64 of the values of `part`; all of them count as good.
    @usableFromInline
    package static func firstMoments(
        _ values: UnsafePointer<Int64>, parts: UnsafePointer<UInt8>, count: Int, part: UInt8
    ) -> ck_moments {
        var moments = ck_moments()
        ck_first_moments_i64(values, parts, count, part, &moments)
        return moments
    }

    /// The sum over the values of `part` of their squared distances from `mean`, in Float64.
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

    /// The 64 bits of `whole`, without a sign.
    @inlinable
    package static func converted(real: Double, whole: Int64) -> UInt64 { UInt64(truncatingIfNeeded: whole) }

    /// The smallest and the largest value, both 0 where there are none; all count as finite.
    @usableFromInline
    package static func extremes(_ values: UnsafePointer<UInt64>, count: Int) -> NativeExtremes<UInt64> {
        var (low, high): (UInt64, UInt64) = (0, 0)
        ck_extremes_u64(values, count, &low, &high)
        return NativeExtremes(min: low, max: high, finite: count)
    }

    /// The counts, the sum and the extremes in Float64 of the values of `part`; all of them count as good.
    @usableFromInline
    package static func firstMoments(
        _ values: UnsafePointer<UInt64>, parts: UnsafePointer<UInt8>, count: Int, part: UInt8
    ) -> ck_moments {
        var moments = ck_moments()
        ck_first_moments_u64(values, parts, count, part, &moments)
        return moments
    }

    /// The sum over the values of `part` of their squared distances from `mean`, in Float64.
    @usableFromInline
    package static func secondMoment(
        _ values: UnsafePointer<UInt64>, parts: UnsafePointer<UInt8>, count: Int, part: UInt8, mean: Double
    ) -> Double {
        ck_second_moment_u64(values, parts, count, part, mean)
    }
}
