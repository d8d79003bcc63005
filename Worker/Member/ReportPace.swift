/// Decides when the first member of a round reports its progress and stores its state within an epoch. Times are
/// seconds of a steady clock.
struct ReportPace: Sendable {
    private let settings: MemberMachine.Settings
    private var lastStore: Double
    /// Time and step of the last report; nil before the round's first step.
    private var lastReport: (now: Double, step: Int64)?

    /// - Parameter now: when the training begins or goes on.
    init(_ settings: MemberMachine.Settings, now: Double) {
        self.settings = settings
        lastStore = now
    }

    /// Notes a step.
    ///
    /// - Returns: steps per second since the last report; nil if it is too early for another.
    mutating func rate(step: Int64, now: Double) -> Double? {
        guard let last = lastReport else {
            lastReport = (now, step)
            return nil
        }
        guard now - last.now > settings.reportSeconds else { return nil }
        lastReport = (now, step)
        return Double(step - last.step) / (now - last.now)
    }

    /// Whether it is time to store the state.
    func wantsStore(now: Double) -> Bool { now - lastStore > settings.checkpointSeconds }

    /// Notes that the state was handed over for storing.
    mutating func stored(now: Double) { lastStore = now }
}
