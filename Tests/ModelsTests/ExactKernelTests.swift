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
        _ name: String, _ kernel: (UnsafeMutablePointer<Float>, Int) -> Void, limit: Float80 = 0.51,
        _ truth: (Float80) -> Float80
    ) {
        let found = same(name) {
            var values = Self.range
            values.withUnsafeMutableBufferPointer { kernel($0.baseAddress!, $0.count) }
            // Which of many NaNs comes out is of no meaning: training ends at any of them.
            return values.map { $0.isNaN ? Float.nan.bitPattern : $0.bitPattern }
        }
        var worst: Float80 = 0
        for (x, bits) in zip(Self.range, found) {
            let (value, expected) = (Float(bitPattern: bits), truth(Float80(x)))
            // What infinity times a share of 0 is, nobody asks.
            if x.isInfinite, expected.isNaN { continue }
            if expected.isNaN || Float(expected).isInfinite || value.isInfinite {
                #expect(value.isNaN == expected.isNaN && (value.isNaN || value == Float(expected)), "\(name)(\(x))")
                continue
            }
            let unit = Float80(max(Float(abs(expected)).ulp, 0x1p-149))
            worst = max(worst, abs(Float80(value) - expected) / unit)
        }
        #expect(worst < limit, "\(name): \(worst) ulp")
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

    @Test func activationsAreRoundedWell() {
        let (scale, alpha): (Float80, Float80) = (1.0507009873554804934, 1.6732632423543772848)
        check("elu", { ck_elu($0, $1) }, { $0 > 0 ? $0 : expm1l($0) })
        check("selu", { ck_selu($0, $1) }, limit: 1, { $0 > 0 ? scale * $0 : scale * alpha * expm1l($0) })
        check("leaky_relu", { ck_leaky_relu($0, $1) }, limit: 1, { $0 < 0 ? 0.01 * $0 : $0 })
        check("silu", { ck_silu($0, $1) }, limit: 1, { $0 / (1 + expl(-$0)) })
        check("gelu", { ck_gelu($0, $1) }, limit: 1, { 0.5 * $0 * erfcl(-$0 / Float80(2).squareRoot()) })
    }

    /// The gradients against differences of the functions in Float80.
    @Test func gradientsOfActivationsAreTheirDerivatives() {
        typealias Kernel = (UnsafeMutablePointer<Float>, UnsafePointer<Float>, Int) -> Void
        let inputs = numbers(501, seed: 9, scale: 9)
        func derivative(_ function: (Float80) -> Float80, _ x: Float80) -> Float80 {
            (function(x + 1e-6) - function(x - 1e-6)) / 2e-6
        }
        let functions: [(String, (Float80) -> Float80, Bool, Kernel)] = [
            ("elu", { $0 > 0 ? $0 : expm1l($0) }, false, { ck_elu_gradient($0, $1, $2) }),
            (
                "selu", { 1.0507009873554804934 * ($0 > 0 ? $0 : 1.6732632423543772848 * expm1l($0)) }, false,
                { ck_selu_gradient($0, $1, $2) }
            ),
            ("leaky_relu", { $0 < 0 ? 0.01 * $0 : $0 }, false, { ck_leaky_relu_gradient($0, $1, $2) }),
            ("silu", { $0 / (1 + expl(-$0)) }, true, { ck_silu_gradient($0, $1, $2) }),
            (
                "gelu", { 0.5 * $0 * erfcl(-$0 / Float80(2).squareRoot()) }, true,
                { ck_gelu_gradient($0, $1, $2) }
            ),
        ]
        for (name, function, takesInput, kernel) in functions {
            let values = takesInput ? inputs : inputs.map { Float(function(Float80($0))) }
            let found = same(name) {
                var gradient = [Float](repeating: 2, count: inputs.count)
                kernel(&gradient, values, inputs.count)
                return gradient
            }
            for (x, slope) in zip(inputs, found) {
                #expect(abs(Float80(slope) - 2 * derivative(function, Float80(x))) < 1e-5, "\(name)(\(x))")
            }
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
            let step = ck_adam_step(
                unit: 1e-9, beta1: 0.9, beta2: 0.999, rate: 0.1, correction: 31.6, epsilon: 1e-7, decay: 0.01,
                keep: 0.99)
            ck_adam(&w, &m, &v, gradients, 1003, step)
            return w + m + v
        }
        for index in 0..<1003 {
            let g = Float(Double(gradients[index]) * 1e-9) + 0.01 * start[index]
            let m = 0.9 * start[1003 + index] + (1 - Float(0.9)) * g
            let v = 0.999 * start[2006 + index] + (1 - Float(0.999)) * (g * g)
            let w = start[index] * 0.99 - 0.1 * m / (v.squareRoot() * 31.6 + 1e-7)
            #expect(found[index] == w && found[1003 + index] == m && found[2006 + index] == v)
        }
    }

    @Test func descentAndTheNormAreTheirFormulas() {
        let gradients = numbers(1003, seed: 6).map { Int64($0 * 1e9) }
        let start = numbers(2 * 1003, seed: 7)
        for nesterov in [Int32(0), 1] {
            let found = same("descent") {
                var (w, u) = (Array(start[..<1003]), Array(start[1003...]))
                let step = ck_descent_step(unit: 1e-9, momentum: 0.9, rate: 0.1, decay: 0.01, nesterov: nesterov)
                ck_descend(&w, &u, gradients, 1003, step)
                return w + u
            }
            for index in 0..<1003 {
                let g = Float(Double(gradients[index]) * 1e-9) + 0.01 * start[index]
                let u = 0.9 * start[1003 + index] + g
                let w = start[index] - 0.1 * (nesterov == 1 ? g + 0.9 * u : u)
                #expect(found[index] == w && found[1003 + index] == u)
            }
        }
        let plain = same("descent without a velocity") {
            var w = Array(start[..<1003])
            ck_descend(
                &w, nil, gradients, 1003, ck_descent_step(unit: 1e-9, momentum: 0, rate: 0.1, decay: 0, nesterov: 0))
            return w
        }
        for index in 0..<1003 { #expect(plain[index] == start[index] - 0.1 * Float(Double(gradients[index]) * 1e-9)) }
        let square = same("squares") { ck_square_sum(gradients, 1003, 1e-9).bitPattern }
        let expected = gradients.reduce(0.0) { $0 + Double($1) * Double($1) * 1e-18 }
        #expect(abs(Double(bitPattern: square) / expected - 1) < 1e-12)
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
