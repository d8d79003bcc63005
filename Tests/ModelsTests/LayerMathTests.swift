import Bytes
import Cluster
import Features
import Models
import Testing

/// Layers against closed forms.
@Suite struct LayerMathTests {
    /// Samples without gaps as lines, of whole vectors of 16, and back.
    private func lines(_ values: [Float], of width: Int) -> [Float] {
        stride(from: 0, to: values.count, by: width).flatMap { start in
            Array(values[start..<start + width]) + [Float](repeating: 0, count: (16 - width % 16) % 16)
        }
    }

    private func values(_ lines: [Float], of width: Int) -> [Float] {
        stride(from: 0, to: lines.count, by: (width + 15) / 16 * 16).flatMap { lines[$0..<$0 + width] }
    }

    private func applied(_ layer: some InPlaceLayer, _ input: [Float], random: UInt64? = nil) -> [Float] {
        let width = layer.inputShape[0]
        var lines = lines(input, of: width)
        let samples = input.count / width
        do {
            var span = lines.mutableSpan
            layer.forward(
                &span, samples: samples, segments: random.map { [BatchSegment(rows: 0..<samples, random: $0)] })
        }
        return values(lines, of: width)
    }

    private func gradient(
        _ layer: some InPlaceLayer, _ gradient: [Float], output: [Float], random: UInt64 = 1
    ) -> [Float] {
        let width = layer.inputShape[0]
        let (samples, output) = (gradient.count / width, lines(output, of: width))
        var gradient = lines(gradient, of: width)
        do {
            var span = gradient.mutableSpan
            layer.backward(
                &span, input: output.span, output: output.span, samples: samples,
                segments: [BatchSegment(rows: 0..<samples, random: random)])
        }
        return values(gradient, of: width)
    }

    @Test func activationsAreTheirFormulas() {
        let inputs: [Float] = [-2, -0.5, 0, 0.5, 3]
        #expect(applied(ReLU(inputShape: [5]), inputs) == [0, 0, 0, 0.5, 3])
        // tanh and the logistic function of these inputs, from tables.
        let tanh: [Float] = [-0.964_027_6, -0.462_117_2, 0, 0.462_117_2, 0.995_054_7]
        let logistic: [Float] = [0.119_202_9, 0.377_540_7, 0.5, 0.622_459_3, 0.952_574_1]
        for (found, expected) in zip(applied(Tanh(inputShape: [5]), inputs), tanh) {
            #expect(abs(found - expected) < 1e-6)
        }
        for (found, expected) in zip(applied(Sigmoid(inputShape: [5]), inputs), logistic) {
            #expect(abs(found - expected) < 1e-6)
        }
        #expect(gradient(ReLU(inputShape: [3]), [1, 2, 3], output: [0, 0.5, 2]) == [0, 2, 3])
        #expect(gradient(Tanh(inputShape: [2]), [2, 2], output: [0.5, 0]) == [1.5, 2])
        #expect(gradient(Sigmoid(inputShape: [2]), [4, 4], output: [0.5, 0.25]) == [1, 0.75])
    }

    @Test func softmaxIsAProbabilityAndDoesNotOverflow() {
        let found = applied(Softmax(inputShape: [2]), [0, 0, 1000, 0, -1000, -1000])
        #expect(found == [0.5, 0.5, 1, 0, 0.5, 0.5])
        let three = applied(Softmax(inputShape: [3]), [1, 2, 3])
        for (value, expected) in zip(three, [0.090_030_57, 0.244_728_47, 0.665_240_96] as [Float]) {
            #expect(abs(value - expected) < 1e-6)
        }
    }

    @Test func denseIsTheWeightedSum() {
        let layer = Dense(inputs: 2, units: 3)
        // Weights [units, inputs], then biases.
        let parameters: [Float] = [1, 2, 3, 4, 5, 6, 0.5, -0.5, 1]
        let input = lines([1, -1, 2, 0.5], of: 2)
        var output = [Float](repeating: 0, count: 32)
        var sums = [Float](repeating: 0, count: 9)
        var back = [Float](repeating: 0, count: 32)
        var scratch = [Float](repeating: 0, count: layer.scratchCount)
        let error = lines([1, 0, 2, 0, 1, -1], of: 3)
        do {
            var target = output.mutableSpan
            var memory = scratch.mutableSpan
            layer.forward(
                input.span, to: &target, parameters: parameters.span, scratch: &memory, samples: 2, segments: nil)
        }
        #expect(values(output, of: 3) == [-0.5, -1.5, 0, 3.5, 7.5, 14])
        do {
            var target = sums.mutableSpan
            layer.parameterGradient(
                error.span, input: input.span, to: &target, parameters: parameters.span, samples: 2)
        }
        // The error's outer product with the input, summed over the samples; then the error's sum.
        #expect(sums == [1, -1, 2, 0.5, 0, -2.5, 1, 1, 1])
        do {
            var target = back.mutableSpan
            var memory = scratch.mutableSpan
            layer.inputGradient(
                error.span, input: input.span, to: &target, parameters: parameters.span, scratch: &memory, samples: 2,
                segments: [BatchSegment(rows: 0..<2, random: 1)])
        }
        #expect(values(back, of: 2) == [11, 14, -2, -2])
    }

    @Test func dropoutDropsItsShareAndTheSameForOneKey() {
        let layer = Dropout(inputShape: [1000], rate: 0.25, stream: 2)
        let ones = [Float](repeating: 1, count: 100_000)
        let dropped = applied(layer, ones, random: 5)
        let zeros = dropped.filter { $0 == 0 }.count
        // Five standard deviations of a binomial distribution.
        #expect(abs(zeros - 25_000) < 700)
        #expect(dropped.allSatisfy { $0 == 0 || $0 == Float(1 / 0.75) })
        #expect(applied(layer, ones, random: 5) == dropped)
        #expect(applied(layer, ones, random: 6) != dropped)
        #expect(applied(Dropout(inputShape: [1000], rate: 0.25, stream: 3), ones, random: 5) != dropped)
        #expect(applied(layer, ones) == ones)
        // Backwards the same values pass no gradient; the layer before keeps its own output.
        #expect(gradient(layer, ones, output: dropped, random: 5) == dropped && layer.keepsInput)
    }

    @Test func theLossIsTheNegativeLogarithm() {
        let binary = Loss(outputs: 1)
        let scores: [Float] = [0.25, 0.25, 0]
        let labels: [Int32] = [1, 0, 1]
        // -ln 0.25, -ln 0.75, and -ln 1e-7 where the score is 0.
        let expected = 1.386_294_361 + 0.287_682_072 + 16.118_095_651
        #expect(abs(Double(binary.sum(scores.span, labels: labels.span)) / Loss.fixedPointUnit - expected) < 1e-6)
        var gradient = [Float](repeating: 0, count: 3)
        do {
            var target = gradient.mutableSpan
            binary.gradient(scores.span, labels: labels.span, line: 1, to: &target)
        }
        #expect(gradient == [-0.75, 0.25, -1])
        let three = Loss(outputs: 3)
        #expect(three.classes == 3 && binary.classes == 2)
        let row: [Float] = [0.5, 0.25, 0.25]
        #expect(three.probability(of: 1, row.span, sample: 0) == 0.25)
        #expect(
            three.probability(of: 7, row.span, sample: 0) == 0 && three.probability(of: -1, row.span, sample: 0) == 0)
    }

    @Test func metricsAreThoseOfASmallExample() {
        let sums = MetricSums(Loss(outputs: 1))
        var totals = [Int64](repeating: 0, count: sums.count)
        let scores: [Float] = [0.9, 0.8, 0.3, 0.3, 0.1, .nan]
        let labels: [Int32] = [1, 0, 1, 0, 0, 1]
        do {
            var target = totals.mutableSpan
            for sample in scores.indices { sums.add(scores.span, sample: sample, label: labels[sample], to: &target) }
        }
        let metrics = sums.metrics(totals.span)
        // Pairs of a signal and a background: 0.9 wins three; 0.3 loses, ties, wins.
        #expect(metrics.events == 5 && metrics.auc == 4.5 / 6 && metrics.accuracy == 0.6)
        #expect(totals[sums.nanCount] == 1 && totals[sums.callerSlot] == 0)
    }
}
