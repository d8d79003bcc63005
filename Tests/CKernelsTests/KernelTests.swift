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
            func check<T: FixedWidthInteger & BitwiseCopyable>(
                _: T.Type, _ swap: (UnsafeMutableRawPointer?, UnsafeRawPointer?, Int) -> Void
            ) {
                var target = [T](repeating: 0, count: count)
                target.withUnsafeMutableBytes { swap($0.baseAddress, base, count) }
                for index in 0..<count {
                    #expect(
                        target[index]
                            == T(
                                bigEndian: base.loadUnaligned(fromByteOffset: index * MemoryLayout<T>.size, as: T.self))
                    )
                }
            }
            check(UInt16.self, ck_swap16)
            check(UInt32.self, ck_swap32)
            check(UInt64.self, ck_swap64)
        }
    }

    @Test(arguments: [1, 4, 16, 101]) func normalises(_ count: Int) {
        var row = floats(count, seed: 9)
        for index in stride(from: 0, to: count, by: 3) { row[index] = .nan }
        let (offset, scale, fill) = (floats(count, seed: 1), floats(count, seed: 2), floats(count, seed: 3))
        var target = [Float](repeating: 0, count: count)
        ck_normalise(&target, row, offset, scale, fill, count)
        for index in 0..<count {
            #expect(target[index] == (row[index].isNaN ? fill[index] : (row[index] - offset[index]) * scale[index]))
        }
    }

    @Test(arguments: [0, 1, 15, 16, 31, 32, 33, 500]) func extremes(_ count: Int) {
        var reals = floats(count, seed: 11)
        for index in stride(from: 2, to: count, by: 5) { reals[index] = [.nan, .infinity, -.infinity][index % 3] }
        let finite = reals.filter(\.isFinite)
        var (low, high): (Float, Float) = (0, 0)
        #expect(ck_extremes_f32(reals, count, &low, &high) == finite.count)
        #expect(low == finite.min() ?? .infinity && high == finite.max() ?? -.infinity)
        let doubles = reals.map { Double($0) * 1e30 }
        var (dlow, dhigh): (Double, Double) = (0, 0)
        #expect(ck_extremes_f64(doubles, count, &dlow, &dhigh) == finite.count)
        #expect(
            dlow == doubles.filter(\.isFinite).min() ?? .infinity
                && dhigh == doubles.filter(\.isFinite).max() ?? -.infinity)
        func whole<T: FixedWidthInteger>(
            _: T.Type, _ kernel: (UnsafePointer<T>?, Int, UnsafeMutablePointer<T>?, UnsafeMutablePointer<T>?) -> Void
        ) {
            let values = reals.indices.map { T(truncatingIfNeeded: ($0 &* 0x1E37_79B9_7F4A_7C15 &+ 12345) >> 3) }
            var (low, high): (T, T) = (1, 1)
            kernel(values, count, &low, &high)
            #expect(low == values.min() ?? 0 && high == values.max() ?? 0)
        }
        whole(Int8.self, ck_extremes_i8)
        whole(UInt8.self, ck_extremes_u8)
        whole(Int16.self, ck_extremes_i16)
        whole(UInt16.self, ck_extremes_u16)
        whole(Int32.self, ck_extremes_i32)
        whole(UInt32.self, ck_extremes_u32)
        whole(Int64.self, ck_extremes_i64)
        whole(UInt64.self, ck_extremes_u64)
    }

    @Test(arguments: [1, 2, 9, 16, 257]) func offsets(_ count: Int) {
        let steps = (0..<count).map { ($0 * 7) % 5 }
        var bytes: [Int32] = [70]
        for step in steps { bytes.append(bytes.last! + Int32(4 * step)) }
        let stored = bytes.map(\.bigEndian)
        func run(_ stored: [Int32], last: Int64) -> (wrong: Int32, items: [Int64]) {
            var target = [Int64](repeating: -1, count: count)
            let wrong = stored.withUnsafeBytes { ck_offsets(&target, $0.baseAddress! + 4, count, 70, last, 2, 1000) }
            return (wrong, target)
        }
        let (wrong, items) = run(stored, last: Int64(bytes.last!))
        #expect(wrong == 0)
        #expect(items == bytes.dropFirst().map { 1000 + Int64($0 - 70) / 4 })
        #expect(ck_widest_step(items, count) == Int64(count > 1 ? steps.dropFirst().max()! : 0))
        // Past the end, falling, and parts of items.
        #expect(bytes.last! == 70 || run(stored, last: Int64(bytes.last!) - 4).wrong == 1)
        var broken = stored
        broken[count] = (bytes[count - 1] - 4).bigEndian
        #expect(run(broken, last: 1 << 30).wrong == 1)
        broken[count] = (bytes[count] + 2).bigEndian
        #expect(run(broken, last: 1 << 30).wrong == 1)
    }

    @Test(arguments: [0, 1, 15, 16, 17, 64, 301]) func moments(_ count: Int) {
        var values = floats(count, seed: 13)
        for index in stride(from: 1, to: count, by: 7) { values[index] = index % 2 == 0 ? .nan : .infinity }
        let parts = values.indices.map { UInt8(($0 * 5) % 3) }
        for part in UInt8(0)..<3 {
            // Sixteen sums, as in C: value i goes to sum i mod 16.
            var sums = [Double](repeating: 0, count: 16)
            var squares = sums
            let mine = values.indices.filter { parts[$0] == part }
            let good = mine.filter { abs(values[$0]) <= .greatestFiniteMagnitude }
            for index in good { sums[index % 16] += Double(values[index]) }
            let sum = sums.reduce(0, +)
            for index in good { squares[index % 16] += (Double(values[index]) - 3.5) * (Double(values[index]) - 3.5) }
            var found = ck_moments()
            ck_first_moments_f32(values, parts, count, part, &found)
            #expect(found.good == good.count && found.bad == mine.count - good.count && found.sum == sum)
            #expect(
                found.least == good.map { Double(values[$0]) }.min() ?? .infinity
                    && found.most == good.map { Double(values[$0]) }.max() ?? -.infinity)
            #expect(ck_second_moment_f32(values, parts, count, part, 3.5) == squares.reduce(0, +))
        }
        let truths = values.indices.map { UInt8($0 % 4 == 0 ? 0 : $0 % 251) }
        var found = ck_moments()
        ck_first_moments_bool(truths, [UInt8](repeating: 0, count: count), count, 0, &found)
        #expect(found.sum == Double(truths.count { $0 != 0 }))
    }
}
