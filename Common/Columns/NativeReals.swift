public import CKernels

extension Float: NativeValue {
    @inlinable
    package static var type: DataType { .float32 }
    @inlinable
    package var float32: Float { self - self == 0 ? self : .nan }
    @inlinable
    package var float64: Double { Double(self) }
    @inlinable
    package var int64: Int64 { Int64(exactly: rounded(.towardZero)) ?? 0 }

    /// `real` rounded to Float32.
    @inlinable
    package static func converted(real: Double, whole: Int64) -> Float { Float(real) }

    /// The extremes of the finite values; without any, `min` is infinity and `max` is -infinity.
    @usableFromInline
    package static func extremes(_ values: UnsafePointer<Float>, count: Int) -> NativeExtremes<Float> {
        var (low, high): (Float, Float) = (0, 0)
        let finite = ck_extremes_f32(values, count, &low, &high)
        return NativeExtremes(min: low, max: high, finite: finite)
    }

    /// The counts, the sum and the extremes in Float64 of the values of `part`; those that are not finite count as bad
    /// only.
    @usableFromInline
    package static func firstMoments(
        _ values: UnsafePointer<Float>, parts: UnsafePointer<UInt8>, count: Int, part: UInt8
    ) -> ck_moments {
        var moments = ck_moments()
        ck_first_moments_f32(values, parts, count, part, &moments)
        return moments
    }

    /// The sum over the good values of `part` of their squared distances from `mean`, in Float64.
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

    /// `real` as it is.
    @inlinable
    package static func converted(real: Double, whole: Int64) -> Double { real }

    /// The extremes of the finite values; without any, `min` is infinity and `max` is -infinity.
    @usableFromInline
    package static func extremes(_ values: UnsafePointer<Double>, count: Int) -> NativeExtremes<Double> {
        var (low, high): (Double, Double) = (0, 0)
        let finite = ck_extremes_f64(values, count, &low, &high)
        return NativeExtremes(min: low, max: high, finite: finite)
    }

    /// The counts, the sum and the extremes in Float64 of the values of `part`; those that are not finite in Float32's
    /// range count as bad only.
    @usableFromInline
    package static func firstMoments(
        _ values: UnsafePointer<Double>, parts: UnsafePointer<UInt8>, count: Int, part: UInt8
    ) -> ck_moments {
        var moments = ck_moments()
        ck_first_moments_f64(values, parts, count, part, &moments)
        return moments
    }

    /// The sum over the good values of `part` of their squared distances from `mean`, in Float64.
    @usableFromInline
    package static func secondMoment(
        _ values: UnsafePointer<Double>, parts: UnsafePointer<UInt8>, count: Int, part: UInt8, mean: Double
    ) -> Double {
        ck_second_moment_f64(values, parts, count, part, mean)
    }
}
