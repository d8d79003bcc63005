import CKernels
import Cluster
import Foundation
import Models
import Testing

/// Every kernel of training gives the same bits with every instruction set, and those of its formula in Swift.
@Suite(.serialized) struct ExactKernelTests {
    /// Runs the body with each instruction set that the processor has; all results must be equal.
    private func same<Result: Equatable>(_ what: String, _ body: () -> Result) -> Result {
        defer { InstructionSet.use(.avx512) }
        InstructionSet.use(.portable)
        let expected = body()
        for set in InstructionSet.allCases where InstructionSet.use(set) == set {
            #expect(body() == expected, "\(what) with \(set.name)")
        }
        return expected
    }

    private func numbers(_ count: Int, seed: UInt64, scale: Float = 1) -> [Float] {
        var random = SeededRandom(seed: seed)
        return (0..<count).map { _ in (Float(random.below(1 << 24)) / Float(1 << 23) - 1) * scale }
    }

    struct Shape: Sendable { var rows, columns, depth: Int }

    static let shapes = [(1, 1, 1), (6, 16, 27), (13, 17, 300), (50, 128, 27), (7, 3, 513), (12, 64, 0)].map {
        Shape(rows: $0.0, columns: $0.1, depth: $0.2)
    }

    @Test(arguments: shapes) func aProductIsOneChainOfFusedMultiplyAdds(_ shape: Shape) {
        let (rows, columns, depth) = (shape.rows, shape.columns, shape.depth)
        let left = numbers(rows * depth, seed: 1) + [0]
        let right = numbers(depth * columns, seed: 2) + [0]
        let bias = numbers(columns, seed: 3)
        let transposed = (0..<depth * columns).map { right[($0 % max(1, depth)) * columns + $0 / max(1, depth)] } + [0]
        for (name, isTransposed, hasBias) in [("packed", false, true), ("transposed", true, false)] {
            let found = same("\(name) \(shape)") {
                var panels = [Float](repeating: .nan, count: ck_panel_floats(depth, columns) + 1)
                var result = [Float](repeating: .nan, count: rows * columns)
                if isTransposed {
                    ck_pack_transposed(&panels, transposed, depth, depth, columns)
                } else {
                    ck_pack(&panels, right, columns, depth, columns)
                }
                panels.withUnsafeBufferPointer { panels in
                    left.withUnsafeBufferPointer { left in
                        ck_matrix_product(
                            &result, columns, ck_left(start: left.baseAddress, row: depth, step: 1),
                            ck_right(start: panels.baseAddress, panel: 16 * depth, stride: 16), hasBias ? bias : nil,
                            rows, columns, depth)
                    }
                }
                return result.map(\.bitPattern)
            }
            for row in 0..<rows {
                for column in 0..<columns {
                    var sum = hasBias ? bias[column] : 0
                    for k in 0..<depth { sum.addProduct(left[row * depth + k], right[k * columns + column]) }
                    #expect(found[row * columns + column] == sum.bitPattern)
                }
            }
        }
    }

    /// Values over all of Float32's range, in steps, and the special ones.
    private static let range: [Float] =
        stride(from: UInt32(0), through: .max - 4111, by: 4099).map { Float(bitPattern: $0) }
        + [0, -0.0, 1, -1, .infinity, -.infinity, .nan, 0x1p-149, .greatestFiniteMagnitude, 88.8, -104]

    private func check(
        _ name: String, _ kernel: (UnsafeMutablePointer<Float>, Int) -> Void, _ truth: (Float80) -> Float80
    ) {
        let found = same(name) {
            var values = Self.range
            values.withUnsafeMutableBufferPointer { kernel($0.baseAddress!, $0.count) }
            return values.map(\.bitPattern)
        }
        var worst: Float80 = 0
        for (x, bits) in zip(Self.range, found) {
            let (value, expected) = (Float(bitPattern: bits), truth(Float80(x)))
            if expected.isNaN || Float(expected).isInfinite || value.isInfinite {
                #expect(value.isNaN == expected.isNaN && (value.isNaN || value == Float(expected)), "\(name)(\(x))")
                continue
            }
            let unit = Float80(max(Float(abs(expected)).ulp, 0x1p-149))
            worst = max(worst, abs(Float80(value) - expected) / unit)
        }
        #expect(worst < 0.51, "\(name): \(worst) ulp")
    }

    @Test func functionsAreRoundedWell() {
        check("exp", { ck_exp($0, $1) }, { expl($0) })
        check("log", { ck_log($0, $1) }, { logl($0) })
        check("tanh", { ck_tanh($0, $1) }, { tanhl($0) })
        check("logistic", { ck_logistic($0, $1) }, { 1 / (1 + expl(-$0)) })
        for x in [1e-7, 0.1, 0.5, 0.75, 0.999_999, 1, 7] as [Float] {
            #expect(abs(ck_log_double(x) - log(Double(x))) < 1e-13)
        }
    }

    @Test func sumsAndUpdatesAreTheirFormulas() {
        let values = numbers(1003, seed: 4, scale: 3)
        let start = numbers(1003, seed: 5).map { Int64($0 * 1e9) }
        let fixed = same("fixed point") {
            var sums = start
            #expect(ck_add_fixed_point(&sums, values, 1003, 1_048_576) == 0)
            return sums
        }
        for index in values.indices {
            let product = (Double(values[index]) * 1_048_576).rounded(.toNearestOrEven)
            #expect(fixed[index] == start[index] + Int64(product))
        }
        for (bad, code) in [(Float.infinity, 2), (.nan, 2), (1e30, 1)] as [(Float, Int32)] {
            let wrong = [1, 2, bad, 4]
            _ = same("what does not fit") {
                var sums: [Int64] = [1, 2, 3, 4]
                #expect(ck_add_fixed_point(&sums, wrong, 4, 1024) == code && sums == [1, 2, 3, 4])
                return sums
            }
        }
        let sums = same("whole numbers") {
            var sums = start
            ck_add_whole(&sums, fixed, 1003)
            return sums
        }
        #expect(zip(sums, zip(start, fixed)).allSatisfy { $0 == $1.0 + $1.1 })
        let largest = same("magnitude") { 64 - ck_largest_magnitude(sums, 1003).leadingZeroBitCount }
        #expect(largest == 64 - (sums.map(\.magnitude).max() ?? 0).leadingZeroBitCount)
        let columns = same("column sums") {
            var sums = [Float](repeating: .nan, count: 17)
            ck_column_sums(&sums, values, 17, 59, 17)
            return sums
        }
        for column in 0..<17 { #expect(columns[column] == (0..<59).reduce(0) { $0 + values[$1 * 17 + column] }) }
    }

    @Test func adamIsItsFormula() {
        let gradients = numbers(1003, seed: 6).map { Int64($0 * 1e9) }
        let start = numbers(3 * 1003, seed: 7).map(abs)
        let found = same("Adam") {
            var (w, m, v) = (Array(start[..<1003]), Array(start[1003..<2006]), Array(start[2006...]))
            ck_adam(&w, &m, &v, gradients, 1003, 1e-9, 0.9, 0.999, 0.1, 31.6, 1e-7)
            return w + m + v
        }
        for index in 0..<1003 {
            let g = Float(Double(gradients[index]) * 1e-9)
            let m = 0.9 * start[1003 + index] + (1 - Float(0.9)) * g
            let v = 0.999 * start[2006 + index] + (1 - Float(0.999)) * (g * g)
            let w = start[index] - 0.1 * m / (v.squareRoot() * 31.6 + 1e-7)
            #expect(found[index] == w && found[1003 + index] == m && found[2006 + index] == v)
        }
    }

    @Test func dropoutAndDigestDependOnTheirInputsAlone() {
        let values = numbers(40 * 16, seed: 8)
        let dropped = same("dropout") {
            var values = values
            ck_dropout(&values, 16, 40, 13, 0x1234_5678_9ABC_DEF0, 1 << 30, 2)
            return values
        }
        for row in 0..<40 {
            for column in 0..<16 {
                var draw = UInt32(row * 13 + column) &* 0x9E37_79B1 &+ 0x9ABC_DEF0
                draw = (draw ^ draw >> 16) &* 0x7FEB_352D &+ 0x1234_5678
                draw = (draw ^ draw >> 15) &* 0x846C_A68B
                draw ^= draw >> 16
                let value = values[16 * row + column]
                let expected = column >= 13 ? value : draw < 1 << 30 ? 0 : 2 * value
                #expect(dropped[16 * row + column] == expected)
            }
        }
        let digest = same("digest") { ck_digest(values, 640) }
        for index in values.indices {
            var other = values
            other[index] = other[index].nextUp
            #expect(ck_digest(other, 640) != digest)
        }
        var swapped = values
        swapped.swapAt(3, 19)
        #expect(ck_digest(swapped, 640) != digest && ck_digest(values, 639) != digest && digest < 1 << 61)
        let outputs = numbers(100, seed: 9)
        let relu = same("ReLU") {
            var (forward, back) = (outputs, values)
            ck_relu(&forward, 100)
            ck_relu_gradient(&back, outputs, 100)
            return forward + back
        }
        #expect(Array(relu[..<100]) == outputs.map { max($0, 0) })
        #expect((0..<100).allSatisfy { relu[100 + $0] == (outputs[$0] <= 0 ? 0 : values[$0]) })
    }
}
