import Bytes
import Cluster
import Columns
import Features
import Testing

@Suite struct EventStoreTests {
    private func jagged(_ lists: [[Double]]) -> Column {
        let values = lists.flatMap { $0 }
        let buffer = AlignedBuffer(capacity: values.count * 8)
        _ = buffer.values(of: Double.self, count: values.count).update(fromContentsOf: values)
        var offsets: [Int64] = [0]
        for list in lists { offsets.append((offsets.last ?? 0) + Int64(list.count)) }
        let offsetBuffer = AlignedBuffer(capacity: offsets.count * 8)
        _ = offsetBuffer.values(of: Int64.self, count: offsets.count).update(fromContentsOf: offsets)
        return Column(
            type: .float64, shape: .jagged(), entries: lists.count, count: values.count, values: buffer,
            offsets: [.init(buffer: offsetBuffer, count: offsets.count)])
    }

    private func flat<Value: NativeValue>(_ values: [Value]) -> Column {
        let buffer = AlignedBuffer(capacity: values.count * 8)
        _ = buffer.values(of: Value.self, count: values.count).update(fromContentsOf: values)
        return Column(
            type: Value.type, shape: .flat, entries: values.count, count: values.count, values: buffer, offsets: [])
    }

    private func batch(_ columns: [Column]) -> ColumnBatch {
        ColumnBatch(
            first: 1000, entries: columns[0].entries, names: columns.indices.map { "c\($0)" }, columns: columns)
    }

    private func channel(_ branch: String, width: Int = 1, jagged: Bool = true) -> Channel {
        Channel(branch: branch, width: width, jagged: jagged, offset: 10, scale: 2, fill: -7)
    }

    private func store(
        _ schema: DataSchema, _ columns: [Column], train: [Int], test: [Int] = []
    ) throws(InputError) -> EventStore {
        try EventStore(
            schema, batch(columns), entries: PartTable(train: train, validation: [], test: test),
            labels: PartTable(
                train: .init(repeating: 0, count: train.count), validation: [],
                test: .init(repeating: 1, count: test.count)))
    }

    @Test func aFlatInputIsPaddedCutAndNormalised() throws {
        let schema = DataSchema(flat: [
            channel("a", jagged: false), channel("b", width: 2), channel("c", jagged: false),
        ])
        let columns = [
            flat([Int32(1), 2, 3, 4]), jagged([[], [1, 2, 3], [.infinity], [5, 6]]), flat([Float(0), .nan, 2, 1e38]),
        ]
        let store = try store(schema, columns, train: [0, 1, 3], test: [2])
        #expect(store.truncated == 1 && store.outsideGrid == 0 && store.maxLabel == 1)
        #expect((0..<3).map { store[.train].entry($0) } == [1000, 1001, 1003] && store[.test].entry(0) == 1002)
        // Three flat values of 3 samples, 4 values of the lists, and what describes them: no padding.
        #expect(store[.train].bytes == 4 * (3 * 2 + 4) + 8 * 3 + 4 * 3 + 8 * 3)
        var batch = Batch(schema)
        let assembler = BatchAssembler(schema)
        assembler.assemble(0..<3, of: store[.train], into: &batch)
        #expect(
            Array(batch.inputs[0].values) == [
                -18, -7, -7, -20, -16, -18, -16, -7, -12, -10, -8, (Float(1e38) - 10) * 2,
            ])
        assembler.assemble([Sample(store[.test], 0), Sample(store[.train], 2)], into: &batch)
        #expect(Array(batch.inputs[0].values.prefix(4)) == [-14, -7, -7, -16] && batch.labels == [1, 0])
    }

    /// Full rows give the same batch as the columns that they were read from.
    @Test func fullRowsAreAsColumns() throws {
        let schema = DataSchema(flat: [channel("a", jagged: false), channel("b", width: 2)])
        let read = try store(schema, [flat([Float(1), 2]), jagged([[4], [5, 6]])], train: [0, 1])
        let given = EventStore(
            schema, rows: PartTable(train: [1, 4, .nan, 2, 5, 6], validation: [], test: []),
            labels: PartTable(train: [0, 0], validation: [], test: []))
        var (one, other) = (Batch(schema), Batch(schema))
        BatchAssembler(schema).assemble(0..<2, of: read[.train], into: &one)
        BatchAssembler(schema).assemble(0..<2, of: given[.train], into: &other)
        #expect(one.inputs[0].values.elementsEqual(other.inputs[0].values) && one.inputs[0].values.count == 6)
    }

    @Test func aSequenceHasAMaskAndALength() throws {
        let pairs = InputSchema(name: "s", kind: .sequence(length: 2), channels: [channel("x"), channel("y")])
        let schema = DataSchema(inputs: [pairs])
        let columns = [jagged([[1, 2, 3], [], [.nan]]), jagged([[4, 5, 6], [], [7]])]
        let store = try store(schema, columns, train: [0, 1, 2])
        #expect(store.truncated == 2)
        var batch = Batch(schema, capacity: 8)
        BatchAssembler(schema).assemble(0..<3, of: store[.train], into: &batch)
        #expect(batch.inputs[0].shape == [2, 2])
        #expect(Array(batch.inputs[0].values) == [-18, -12, -16, -10, 0, 0, 0, 0, -7, -6, 0, 0])
        #expect(batch.inputs[0].mask.map { Array($0) } == [1, 1, 0, 0, 1, 0])
        // Without a length, no tensor is empty, and each batch has its longest.
        let open = DataSchema(inputs: [
            InputSchema(name: "s", kind: .sequence(length: nil), channels: pairs.channels)
        ])
        let whole = try self.store(open, columns, train: [0, 1, 2])
        var other = Batch(open)
        BatchAssembler(open).assemble([Sample(whole[.train], 1)], into: &other)
        #expect(whole.truncated == 0 && other.inputs[0].shape == [1, 2] && other.inputs[0].mask?[0] == 0)
        BatchAssembler(open).assemble([Sample(whole[.train], 0)], into: &other)
        #expect(other.inputs[0].shape == [3, 2] && other.inputs[0].mask?.count == 3)
    }

    @Test func collectionsMustFit() throws {
        let schema = DataSchema(inputs: [
            InputSchema(name: "s", kind: .sequence(length: nil), channels: [channel("x"), channel("y")])
        ])
        let error = #expect(throws: InputError.self) {
            try store(schema, [jagged([[1], [1, 2]]), jagged([[1], [1]])], train: [0, 1])
        }
        #expect(error?.description.contains("entry 1001") == true && error?.description.contains("y") == true)
    }

    @Test func anImageAddsWhatFallsIntoOnePixel() throws {
        let grid = ImageGrid(height: 2, width: 3, xMin: 0, xMax: 3, yMin: -1, yMax: 1)
        let schema = DataSchema(inputs: [
            InputSchema(
                name: "i", kind: .image(grid),
                channels: [channel("x"), channel("y"), channel("w"), channel("v")])
        ])
        let columns = [
            jagged([[0, 0.5, 2.9, 3, -0.1], [.nan]]), jagged([[-1, -0.5, 0.99, 0, 0], [0]]),
            jagged([[11, 12, 13, 14, 15], [1]]), jagged([[.nan, 10, 10, 1, 1], [1]]),
        ]
        let store = try store(schema, columns, train: [0, 1])
        #expect(store.outsideGrid == 3 && store.truncated == 0)
        var batch = Batch(schema)
        BatchAssembler(schema).assemble(0..<2, of: store[.train], into: &batch)
        #expect(batch.inputs[0].shape == [2, 3, 2])
        #expect(
            Array(batch.inputs[0].values) == [6, -7, 0, 0, 0, 0, 0, 0, 0, 0, 6, 0] + [Float](repeating: 0, count: 12))
    }

    @Test func labelsAreClasses() throws {
        #expect(try LabelReader.labels(flat([UInt8(3), 0, 1]), [0, 2]) == [3, 1])
        #expect(try LabelReader.labels(flat([NativeBool(byte: 5)]), [0]) == [1])
        for wrong in [0.5, -1, 1000, .nan] {
            #expect(throws: InputError.self) { try LabelReader.labels(flat([wrong]), [0]) }
        }
        #expect(throws: InputError.self) { try LabelReader.labels(jagged([[1]]), [0]) }
    }

    /// The visitor gives each type of a column its own Swift type.
    @Test(arguments: DataType.allCases) func eachTypeIsVisitedAsItself(_ type: DataType) {
        struct Visitor: TypeVisitor {
            func visit<Value: NativeValue>(_: Value.Type) -> (DataType, Int) {
                (Value.type, MemoryLayout<Value>.stride)
            }
        }
        let (found, size) = type.withType(Visitor())
        #expect(found == type && size == type.size)
    }
}
