import CKernels

/// An activation that is computed value by value: ELU, SELU, leaky ReLU, SiLU, GELU.
package struct Elementwise: InPlaceLayer, Equatable {
    /// Which function.
    package enum Function: Sendable, CaseIterable {
        /// x above 0, else exp(x) - 1.
        case elu
        /// x above 0, else 1.6733 (exp(x) - 1), all times 1.0507.
        case selu
        /// x above 0, else x / 100.
        case leakyReLU
        /// x times its logistic function.
        case silu
        /// x times the normal distribution's share below x.
        case gelu
    }

    package let inputShape: [Int]
    package let function: Function

    /// Creates the activation of samples of this shape.
    package init(_ function: Function, inputShape: [Int]) {
        self.function = function
        self.inputShape = inputShape
    }

    /// The gradient of SiLU and GELU does not follow from their output.
    package var keepsInput: Bool {
        switch function {
        case .silu, .gelu: true
        case .elu, .selu, .leakyReLU: false
        }
    }

    /// Replaces each value by its function.
    package func forward(_ values: inout MutableSpan<Float>, samples: Int, segments: [BatchSegment]?) {
        let function = function
        values.withUnsafeMutableBufferPointer { values in
            guard let start = values.baseAddress else { return }
            switch function {
            case .elu: ck_elu(start, values.count)
            case .selu: ck_selu(start, values.count)
            case .leakyReLU: ck_leaky_relu(start, values.count)
            case .silu: ck_silu(start, values.count)
            case .gelu: ck_gelu(start, values.count)
            }
        }
    }

    /// Multiplies by the derivative, from the output or, for SiLU and GELU, from the input.
    package func backward(
        _ gradient: inout MutableSpan<Float>, input: Span<Float>, output: Span<Float>, samples: Int,
        segments: [BatchSegment]
    ) {
        precondition(output.count >= gradient.count && input.count >= gradient.count)
        let function = function
        gradient.withUnsafeMutableBufferPointer { gradient in
            input.withUnsafeBufferPointer { input in
                output.withUnsafeBufferPointer { output in
                    guard let start = gradient.baseAddress, let input = input.baseAddress,
                        let output = output.baseAddress
                    else { return }
                    switch function {
                    case .elu: ck_elu_gradient(start, output, gradient.count)
                    case .selu: ck_selu_gradient(start, output, gradient.count)
                    case .leakyReLU: ck_leaky_relu_gradient(start, output, gradient.count)
                    case .silu: ck_silu_gradient(start, input, gradient.count)
                    case .gelu: ck_gelu_gradient(start, input, gradient.count)
                    }
                }
            }
        }
    }

    /// One operator, but for SiLU and GELU, which the standard gained later.
    package func export(to graph: inout ONNXGraph, input: String, output: String) {
        switch function {
        case .elu: graph.node("Elu", [input], output)
        case .selu: graph.node("Selu", [input], output)
        case .leakyReLU: graph.node("LeakyRelu", [input], output, attributes: [("alpha", .real(0.01))])
        case .silu:
            graph.node("Sigmoid", [input], output + ".share")
            graph.node("Mul", [input, output + ".share"], output)
        case .gelu:
            graph.tensor(output + ".root", shape: [1], [Float(0.5).squareRoot()])
            graph.tensor(output + ".one", shape: [1], [1])
            graph.tensor(output + ".half", shape: [1], [0.5])
            graph.node("Mul", [input, output + ".root"], output + ".scaled")
            graph.node("Erf", [output + ".scaled"], output + ".erf")
            graph.node("Add", [output + ".erf", output + ".one"], output + ".twice")
            graph.node("Mul", [output + ".twice", output + ".half"], output + ".share")
            graph.node("Mul", [input, output + ".share"], output)
        }
    }
}
