import CKernels
import Cluster

/// Zeroes a share of its values in training and scales the rest up; outside of training it does nothing.
package struct Dropout: InPlaceLayer, Equatable {
    package let inputShape: [Int]
    /// The share of values that are zeroed, from 0 to below 1.
    package let rate: Double
    /// The number that distinguishes this layer's random numbers from those of the others.
    package let stream: Int

    /// Creates a layer.
    ///
    /// - Parameters:
    ///   - rate: the share of values to zero, from 0 to below 1.
    ///   - stream: another number for each layer of a model.
    package init(inputShape: [Int], rate: Double, stream: Int) {
        self.inputShape = inputShape
        self.rate = rate
        self.stream = stream
    }

    package var isExported: Bool { false }
    package var keepsInput: Bool { true }

    /// Drops and scales values by the segments' keys; does nothing where there are no segments.
    package func forward(_ values: inout MutableSpan<Float>, samples: Int, segments: [BatchSegment]?) {
        if let segments { drop(&values, segments) }
    }

    /// The same keys drop the same values of the gradient: dropped inputs pass none.
    package func backward(
        _ gradient: inout MutableSpan<Float>, input: Span<Float>, output: Span<Float>, samples: Int,
        segments: [BatchSegment]
    ) {
        drop(&gradient, segments)
    }

    /// Nothing: the layer only works in training.
    package func export(to graph: inout ONNXGraph, input: String, output: String) {}

    private func drop(_ values: inout MutableSpan<Float>, _ segments: [BatchSegment]) {
        let threshold = UInt32(min(rate * 4_294_967_296, 4_294_967_295))
        let scale = Float(1 / (1 - rate))
        let (width, line) = (inputs, NativeModel.lineLength(inputs))
        values.withUnsafeMutableBufferPointer { values in
            guard let start = values.baseAddress else { return }
            for segment in segments {
                precondition(segment.rows.upperBound * line <= values.count)
                ck_dropout(
                    start + segment.rows.lowerBound * line, line, segment.rows.count, width,
                    mix(segment.random, UInt64(stream)), threshold, scale)
            }
        }
    }
}
