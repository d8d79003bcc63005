import CKernels
import Testing

/// Each C loop against its Swift twin, bit for bit, on lengths that do and do not fill a vector.
@Suite struct KernelTests {
    private func floats(_ count: Int, seed: UInt32) -> [Float] {
        var state = seed | 1
        return (0..<count).map { _ in
            state = state &* 1_664_525 &+ 1_013_904_223
            return Float(Int32(bitPattern: state)) / 65_536
        }
    }

    @Test(arguments: [0, 1, 3, 7, 8, 15, 16, 33, 1000]) func swaps(_ count: Int) {
        let source = (0..<count * 8 + 1).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ 11) }
        // From an odd address, as records lie.
        source.withUnsafeBytes { raw in
            let base = raw.baseAddress! + 1
            func check<T: FixedWidthInteger & BitwiseCopyable>(_: T.Type, _ swap: (UnsafeMutableRawPointer?, UnsafeRawPointer?, Int) -> Void) {
                var target = [T](repeating: 0, count: count)
                target.withUnsafeMutableBytes { swap($0.baseAddress, base, count) }
                for index in 0..<count {
                    #expect(target[index] == T(bigEndian: base.loadUnaligned(fromByteOffset: index * MemoryLayout<T>.size, as: T.self)))
                }
            }
            check(UInt16.self, ck_swap16)
            check(UInt32.self, ck_swap32)
            check(UInt64.self, ck_swap64)
        }
    }

    @Test(arguments: [1, 5, 8, 17, 999]) func fixedPoint(_ count: Int) {
        let gradient = floats(count, seed: 5).map { $0 / 3 }
        let scale = 1_099_511_627_776.0
        var sum = [Int64](repeating: 7, count: count)
        #expect(ck_add_fixed_point(&sum, gradient, count, scale, 0x1p59) == 0)
        for index in 0..<count { #expect(sum[index] == 7 + Int64((Double(gradient[index]) * scale).rounded(.toNearestOrEven))) }
        var kept = sum
        #expect(ck_add_fixed_point(&kept, gradient, count, scale, 1) == 1)
        #expect(kept == sum)
        for bad in [Float.nan, .infinity, -.infinity] {
            var broken = gradient
            broken[count - 1] = bad
            #expect(ck_add_fixed_point(&kept, broken, count, scale, 0x1p59) == 2)
            #expect(kept == sum)
        }
    }

    @Test(arguments: [1, 4, 16, 101]) func normalises(_ count: Int) {
        var row = floats(count, seed: 9)
        for index in stride(from: 0, to: count, by: 3) { row[index] = .nan }
        let (offset, scale, fill) = (floats(count, seed: 1), floats(count, seed: 2), floats(count, seed: 3))
        var target = [Float](repeating: 0, count: count)
        ck_normalise(&target, row, offset, scale, fill, count)
        for index in 0..<count { #expect(target[index] == (row[index].isNaN ? fill[index] : (row[index] - offset[index]) * scale[index])) }
    }

    @Test(arguments: [1, 8, 31, 500]) func adam(_ count: Int) {
        var weights = floats(count, seed: 4)
        var first = floats(count, seed: 6)
        var second = floats(count, seed: 7).map(abs)
        let sums = (0..<count).map { Int64($0 &* 7_919 &- 12_345) &* 1_000_003 }
        let before = (weights, first, second)
        ck_adam(&weights, &first, &second, sums, count, 1e-9, 0.9, 0.999, 0.001, 0.19, 0.002, 1e-7)
        for index in 0..<count {
            let g = Float(Double(sums[index]) * 1e-9)
            let m = 0.9 * before.1[index] + (1 - Float(0.9)) * g
            let v = 0.999 * before.2[index] + (1 - Float(0.999)) * (g * g)
            #expect(first[index] == m && second[index] == v)
            let step: Float = 0.001 * (m / 0.19) / ((v / 0.002).squareRoot() + 1e-7)
            #expect(weights[index] == before.0[index] - step)
        }
    }
}
