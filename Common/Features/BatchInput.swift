import Bytes

/// The values of one input of a batch, Float32 in C order.
package struct BatchInput: Sendable {
    /// The shape of one sample: `[F]`, `[N, F]` or `[H, W, C]`.
    package private(set) var shape: [Int] = []
    package private(set) var sampleCount = 0
    private var storage: AlignedBuffer
    private var maskStorage: AlignedBuffer?

    init(_ schema: InputSchema, capacity: Int) {
        var size = 0
        switch schema.kind {
        case .flat: size = schema.width
        case .sequence(let length):
            size = (length ?? 0) * schema.width
            maskStorage = AlignedBuffer(capacity: 4 * capacity * (length ?? 0))
        case .image(let grid): size = grid.height * grid.width * (schema.channels.count - 2)
        }
        storage = AlignedBuffer(capacity: 4 * capacity * size)
    }

    /// `[samples]` + `shape`; valid until the next batch is assembled.
    package var values: UnsafeBufferPointer<Float> {
        UnsafeBufferPointer(storage.values(of: Float.self, count: sampleCount * sampleSize))
    }

    /// `[samples, N]` of a sequence, 1 for an item and 0 for padding; nil for the other kinds.
    package var mask: UnsafeBufferPointer<Float>? {
        maskStorage.map { UnsafeBufferPointer($0.values(of: Float.self, count: sampleCount * shape[0])) }
    }

    /// Values of one sample.
    package var sampleSize: Int { shape.reduce(1, *) }
    /// Values that the storage has room for.
    package var capacity: Int { storage.capacity / 4 }

    /// Makes room for samples of a shape.
    /// - Returns: where their values go; what lies there is of no meaning.
    mutating func prepare(samples: Int, shape: [Int]) -> UnsafeMutableBufferPointer<Float> {
        self.shape = shape
        sampleCount = samples
        let count = samples * sampleSize
        if 4 * count > storage.capacity { storage = AlignedBuffer(capacity: 4 * count) }
        return storage.values(of: Float.self, count: count)
    }

    /// Makes room for the mask of a sequence's `samples` x `length` items.
    mutating func prepareMask() -> UnsafeMutableBufferPointer<Float> {
        let count = sampleCount * shape[0]
        let buffer: AlignedBuffer
        if let known = maskStorage, 4 * count <= known.capacity {
            buffer = known
        } else {
            buffer = AlignedBuffer(capacity: 4 * count)
        }
        maskStorage = buffer
        return buffer.values(of: Float.self, count: count)
    }
}
