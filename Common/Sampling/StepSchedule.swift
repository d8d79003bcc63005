/// How many samples each lane gives to each step of an epoch, so that all lanes end together.
///
/// With n_l samples in lane l and n in all, an epoch has S = ceil(n / batch) steps, and before step s lane l has given
/// floor((s n_l + o_l) / S) samples. The phase o_l = floor(l S / L) keeps lanes of one size from giving their extra
/// samples in the same steps. So each lane gives n_l in an epoch, and steps differ in size by at most L samples.
package struct StepSchedule: Sendable, Equatable {
    /// S, the steps of an epoch.
    package let steps: Int
    private let samples: [Int]

    /// Makes the schedule of an epoch.
    ///
    /// - Parameters:
    ///   - samples: the training samples of each lane.
    ///   - batch: about how many samples a step has, of all lanes together; at least 1.
    package init(samples: [Int], batch: Int) {
        self.samples = samples
        let total = samples.reduce(0, +)
        steps = total / batch + (total % batch > 0 ? 1 : 0)
    }

    /// The samples that a lane has given in this epoch before a step, 0...`steps`.
    package func position(lane: Int, step: Int) -> Int {
        guard steps > 0 else { return 0 }
        let (whole, rest) = samples[lane].quotientAndRemainder(dividingBy: steps)
        let phase = lane * steps / samples.count
        return step * whole + (step * rest + phase) / steps
    }

    /// The samples that a lane gives to a step, 0..<`steps`.
    package func count(lane: Int, step: Int) -> Int {
        position(lane: lane, step: step + 1) - position(lane: lane, step: step)
    }

    /// The most samples that a lane gives to any step.
    package func maxCount(lane: Int) -> Int {
        steps > 0 ? samples[lane] / steps + (samples[lane] % steps > 0 ? 1 : 0) : 0
    }
}
