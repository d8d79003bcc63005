import Cluster

/// The two-sample test of Kolmogorov and Smirnov, on samples that are counted in the same bins: all values of a bin are
/// ties, as equal values are in ROOT's `TMath::KolmogorovTest`.
///
/// The formulas use +, -, x, / and square roots alone, so that the bundle's bytes do not depend on a host's library.
enum KolmogorovTest {
    /// - Parameters:
    ///   - first: the events of each bin in one sample.
    ///   - second: those in the other, as many bins.
    /// - Returns: nil where a sample is empty.
    static func compare(_ first: [Int64], _ second: [Int64]) -> OutputReport.Comparison? {
        let (firstCount, secondCount) = (Double(first.reduce(0, +)), Double(second.reduce(0, +)))
        guard firstCount > 0, secondCount > 0 else { return nil }
        var (firstSum, secondSum): (Int64, Int64) = (0, 0)
        var statistic = 0.0
        for (one, other) in zip(first, second) {
            firstSum += one
            secondSum += other
            statistic = max(statistic, abs(Double(firstSum) / firstCount - Double(secondSum) / secondCount))
        }
        let scaled = statistic * (firstCount * secondCount / (firstCount + secondCount)).squareRoot()
        return .init(statistic: statistic, probability: probability(scaled))
    }

    /// The probability that the scaled distance is at least z: 2 times the sum over j = 1, 2, ... of
    /// (-1)^(j - 1) exp(-2 j^2 z^2). For small z, where that converges slowly, the same by Jacobi's transformation:
    /// 1 - sqrt(2 pi) / z times the sum of exp(-(2 j - 1)^2 pi^2 / (8 z^2)).
    ///
    /// - Parameter z: from 0 on.
    static func probability(_ z: Double) -> Double {
        // Below, the sum is less than the smallest difference from 1.
        guard z > 0.1 else { return 1 }
        var sum = 0.0
        if z < 1 {
            for j in 1...5 {
                let odd = Double(2 * j - 1)
                sum += exponential(odd * odd * Double.pi * Double.pi / (8 * z * z))
            }
            return min(1, max(0, 1 - (2 * Double.pi).squareRoot() / z * sum))
        }
        for j in 1...6 {
            let term = exponential(2 * Double(j * j) * z * z)
            sum += j % 2 == 1 ? term : -term
        }
        return min(1, max(0, 2 * sum))
    }

    /// exp(-x) for x from 0 on, within 1e-14 of it; 0 for x above 700.
    private static func exponential(_ x: Double) -> Double {
        guard x < 700 else { return 0 }
        let halvings = (x / 0.693_147_180_559_945_3).rounded()
        // ln 2 in two parts, of which the first times a whole number is exact.
        let rest = halvings * 0.693_147_180_369_123_8 - x + halvings * 1.908_214_929_270_587_7e-10
        var series = 1.0
        for power in stride(from: 16, through: 1, by: -1) { series = 1 + series * rest / Double(power) }
        return Double(sign: .plus, exponent: -Int(halvings), significand: series)
    }
}
