import Bytes
import CKernels
import Cluster
import Features
import Glibc
import Models
import Sampling

/// One lane: gives its rows in order, and computes on them. Its results do not depend on which member or thread it runs on.
final class LaneRunner: @unchecked Sendable {
    private let data: DataPlan
    private let training: TrainingPlan
    private let schedule: LaneSchedule
    private let lane: Int
    private let batch: Int
    private let cache: RowCache
    private let network: Network
    private let assembler: BatchAssembler
    /// Fixed-point numbers stay below this in size, so that L lanes cannot wrap.
    private let limit: Double
    private var order: LaneOrder?
    private var taken: [RowReference] = []
    private var kept = false
    /// The blocks of the windows under way.
    private var held: [Int: EventSamples] = [:]

    init(
        _ data: DataPlan, _ training: TrainingPlan, _ schedule: LaneSchedule, lane: Int, network: Network,
        cache: RowCache
    ) {
        self.data = data
        self.training = training
        self.schedule = schedule
        self.lane = lane
        batch = schedule.batch(ofLane: lane)
        self.cache = cache
        self.network = network
        assembler = BatchAssembler(data.schema)
        limit = 4_611_686_018_427_387_904 / Double(max(1, schedule.lanes.count))
    }

    func start(epoch: Int, stepsDone: Int) {
        order = schedule.order(ofLane: lane, epoch: epoch, stepsDone: stepsDone)
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
        while taken.count < batch, let row = order?.next() { taken.append(row) }
        if held.count > 4 * LaneOrder.window * max(1, schedule.datasets) { held.removeAll(keepingCapacity: true) }
        for row in taken where held[row.block] == nil { held[row.block] = try events(row.block)[.train] }
    }

    /// The samples of a block, with labels that the model has classes for.
    private func events(_ block: Int) throws(InputError) -> EventStore {
        let events = try cache.events(block)
        try training.checkLabels(events, of: block, in: data)
        return events
    }

    /// Puts the assembled batch where the network reads its rows.
    private func load(_ batch: Batch, _ workspace: Workspace) {
        precondition(batch.sampleCount <= workspace.capacity)
        for input in batch.inputs {
            if let first = input.values.baseAddress { workspace.input.update(from: first, count: input.values.count) }
        }
    }

    /// Adds the fixed-point sum of the taken rows' gradients, their loss and their weight.
    func addGradient(_ state: TrainingState, seed: UInt64, _ work: ThreadWork, _ layout: StepLayout) {
        guard !taken.isEmpty else { return }
        let workspace = work.workspace
        let sums = work.sums.baseAddress!
        let samples = taken.compactMap { row in held[row.block].map { Sample($0, row.row) } }
        assembler.assemble(samples, into: &work.batch)
        load(work.batch, workspace)
        let labels = work.batch.labels
        let dropout = RandomStream.dropout.key(seed: seed, UInt64(bitPattern: state.step), UInt64(lane))
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
            // What was left out of a block is counted by the first lane that has a piece of it.
            for block in schedule.ownedBlocks[lane] {
                work.metrics[sums.free] += try cache.events(block).truncated
            }
        }
        for piece in schedule.lanes[lane] {
            let range = piece.rows[part]
            guard !range.isEmpty else { continue }
            let samples = try events(piece.block)[part]
            for start in stride(from: range.lowerBound, to: range.upperBound, by: 256) {
                let count = min(256, range.upperBound - start)
                assembler.assemble(start..<start + count, of: samples, into: &work.batch)
                load(work.batch, workspace)
                state.parameters.withUnsafeBufferPointer { workspace.forward($0.baseAddress!, rows: count) }
                for index in 0..<count {
                    sums.add(
                        workspace.output + index * network.outputs, label: work.batch.labels[index],
                        to: work.metrics.baseAddress!)
                }
            }
        }
    }
}
