package import Cluster

/// The learning rate of each step: a function of the step's number, the training's length, and what the plateau has
/// made of it.
package struct LearningRate: Sendable, Equatable {
    private let settings: TrainingCourseSettings
    /// The whole rate, before the schedule.
    private let base: Double
    private let stepsPerEpoch: Int64
    private let steps: Int64

    /// - Parameters:
    ///   - base: the optimiser's rate.
    ///   - batch: the samples of a step.
    package init(_ settings: TrainingCourseSettings, base: Double, batch: Int, stepsPerEpoch: Int64, epochs: Int) {
        self.settings = settings
        self.base = settings.referenceBatch.map { base * (Double(batch) / Double($0)) } ?? base
        self.stepsPerEpoch = max(1, stepsPerEpoch)
        steps = max(1, max(1, stepsPerEpoch) * Int64(epochs))
    }

    /// The rate of a step.
    ///
    /// - Parameters:
    ///   - step: the step's number, from 0.
    ///   - plateau: what the plateau has made of the rate, from 0 to 1.
    package func rate(step: Int64, plateau: Double) -> Double {
        let warm = settings.warmup * Double(stepsPerEpoch)
        let rise = Double(step + 1) < warm ? Double(step + 1) / warm : 1
        return base * plateau * rise * scheduled(step)
    }

    private func scheduled(_ step: Int64) -> Double {
        switch settings.schedule {
        case .constant, .plateau: return 1
        case .step(let every, let factor):
            let times = step / stepsPerEpoch / Int64(max(1, every))
            return (0..<min(times, 10_000)).reduce(1) { product, _ in product * factor }
        case .cosine(let final): return Self.wave(Double(step) / Double(steps), from: 1, to: final)
        case .oneCycle(let rise, let initialDivisor, let finalDivisor):
            let (peak, end) = (rise * Double(steps) - 1, Double(steps - 1))
            let (start, last) = (1 / initialDivisor, 1 / (initialDivisor * finalDivisor))
            let position = Double(step)
            if position <= peak { return Self.wave(peak > 0 ? position / peak : 1, from: start, to: 1) }
            return Self.wave(end > peak ? (position - peak) / (end - peak) : 1, from: 1, to: last)
        }
    }

    /// Half a cosine from one value to another.
    ///
    /// - Parameter position: from 0 to 1; values beyond are the ends.
    private static func wave(_ position: Double, from first: Double, to last: Double) -> Double {
        last + (first - last) * (1 + cosine(ofHalfTurns: min(1, max(0, position)))) / 2
    }

    /// cos(pi x) for x from 0 to 1, by its series, whose bits depend on no library: folded to x up to 1/4, the error is
    /// below 1e-15.
    static func cosine(ofHalfTurns x: Double) -> Double {
        if x > 0.5 { return -cosine(ofHalfTurns: 1 - x) }
        let isSine = x > 0.25
        let angle = (isSine ? 0.5 - x : x) * Double.pi
        let square = angle * angle
        var sum = 0.0
        for term in stride(from: isSine ? 19 : 18, through: isSine ? 3 : 2, by: -2) {
            sum = (1 + sum) * (-square / Double(term * (term - 1)))
        }
        return isSine ? angle * (1 + sum) : 1 + sum
    }
}
