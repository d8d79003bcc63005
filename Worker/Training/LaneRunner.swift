import Bytes
import CKernels
import Cluster
import Glibc
import Models
import Pipeline

/// One lane: gives its rows in order, and computes on them. Its results do not depend on which member or thread it runs on.
final class LaneRunner: @unchecked Sendable {
    private let manifest: TrainingManifest
    private let lane: Int
    private let batch: Int
    private let cache: RowCache
    private let network: Network
    private let width: Int
    private let offset: [Float]
    private let scale: [Float]
    private let fill: [Float]
    /// Fixed-point numbers stay below this in size, so that L lanes cannot wrap.
    private let limit: Double
    private var order: LaneOrder?
    private var taken: [RowReference] = []
    private var kept = false
    /// The blocks of the windows under way.
    private var held: [Int: BlockRows] = [:]

    init(_ manifest: TrainingManifest, lane: Int, batch: Int, cache: RowCache) {
        self.manifest = manifest
        self.lane = lane
        self.batch = batch
        self.cache = cache
        network = Network(inputs: manifest.schema.width, layers: manifest.training.layers)
        width = manifest.schema.width
        func expand(_ value: (FeatureSchema.Input) -> Float) -> [Float] {
            manifest.schema.inputs.flatMap { [Float](repeating: value($0), count: $0.width) }
        }
        offset = expand(\.offset)
        scale = expand(\.scale)
        fill = expand(\.fill)
        limit = 4_611_686_018_427_387_904 / Double(max(1, manifest.lanes.count))
    }

    func start(epoch: Int, stepsDone: Int) {
        order = LaneOrder(
            manifest.lanes[lane], blocks: manifest.blocks, datasets: manifest.datasets, seed: manifest.split.seed,
            epoch: epoch, lane: lane)
        order!.skip(stepsDone * batch)
        kept = false
    }

    /// The same rows once more in the next `take`.
    func keep() { kept = true }

    /// Takes the next step's rows and makes sure that their blocks are at hand.
    func take() throws(InputError) {
        if kept {
            kept = false
            return
        }
        taken.removeAll(keepingCapacity: true)
        while taken.count < batch, let row = order!.next() { taken.append(row) }
        if held.count > 4 * LaneOrder.window * max(1, manifest.datasets) { held.removeAll(keepingCapacity: true) }
        for row in taken where held[row.block] == nil { held[row.block] = try cache.rows(row.block) }
    }

    private func normalise(_ rows: BlockRows, _ part: Int, _ row: Int, to target: UnsafeMutablePointer<Float>) {
        rows.rows[part].withUnsafeBufferPointer { values in
            ck_normalise(target, values.baseAddress! + row * width, offset, scale, fill, width)
        }
    }

    /// Adds the fixed-point sum of the taken rows' gradients, their loss and their weight.
    func addGradient(_ state: TrainingState, seed: UInt64, _ work: ThreadWork, _ layout: StepLayout) {
        guard !taken.isEmpty else { return }
        let workspace = work.workspace
        let sums = work.sums.baseAddress!
        var labels: [Int32] = []
        for (index, row) in taken.enumerated() {
            let rows = held[row.block]!
            normalise(rows, 0, row.row, to: workspace.input + index * width)
            labels.append(rows.labels[0][row.row])
        }
        let dropout = mix(seed, 0xD20, UInt64(bitPattern: state.step), UInt64(lane))
        state.parameters.withUnsafeBufferPointer { parameters in
            workspace.forward(parameters.baseAddress!, rows: taken.count, dropout: dropout)
            sums[layout.loss] += loss(workspace.output, labels)
            sums[layout.weight] += Int64(taken.count)
            workspace.backward(parameters.baseAddress!, labels: labels, rows: taken.count, dropout: dropout)
        }
        for (index, tensor) in network.tensors.enumerated() {
            let scale = Double(sign: .plus, exponent: Int(state.exponents[index]), significand: 1)
            switch ck_add_fixed_point(
                sums + tensor.lowerBound, workspace.gradient + tensor.lowerBound, tensor.count, scale, limit)
            {
            case 1: sums[layout.overflow + index] += 1
            case 2: if sums[layout.nonfinite + lane] == 0 { sums[layout.nonfinite + lane] = Int64(index + 1) }
            default: break
            }
        }
    }

    private func loss(_ output: UnsafePointer<Float>, _ labels: [Int32]) -> Int64 {
        var sum: Int64 = 0
        let units = network.outputs
        for (row, label) in labels.enumerated() {
            let truth =
                units == 1
                ? (label > 0 ? output[row] : 1 - output[row])
                : Int(label) < units ? output[row * units + Int(label)] : 0
            // What is not finite is reported by the gradient.
            if truth == truth { sum += Int64((-log(Double(max(truth, 1e-7))) * 4_294_967_296).rounded()) }
        }
        return sum
    }

    /// Adds the metrics of the lane's rows of a part.
    func evaluate(_ part: SplitPart, _ state: TrainingState, _ work: ThreadWork, _ sums: MetricSums) throws(InputError)
    {
        let workspace = work.workspace
        if part == .test {
            // Each block's cut-off values are told by the first lane that has a piece of it.
            for block in Set(manifest.lanes[lane].map(\.block)).sorted()
            where !manifest.lanes[..<lane].contains(where: { $0.contains { $0.block == block } }) {
                work.metrics[sums.free] += try cache.rows(block).truncated
            }
        }
        for piece in manifest.lanes[lane] {
            let range = piece.rows[part.rawValue]
            guard !range.isEmpty else { continue }
            let rows = try cache.rows(piece.block)
            for start in stride(from: range.lowerBound, to: range.upperBound, by: 256) {
                let count = min(256, range.upperBound - start)
                for index in 0..<count {
                    normalise(rows, part.rawValue, start + index, to: workspace.input + index * width)
                }
                state.parameters.withUnsafeBufferPointer { workspace.forward($0.baseAddress!, rows: count) }
                for index in 0..<count {
                    sums.add(
                        workspace.output + index * network.outputs, label: rows.labels[part.rawValue][start + index],
                        to: work.metrics.baseAddress!)
                }
            }
        }
    }
}
