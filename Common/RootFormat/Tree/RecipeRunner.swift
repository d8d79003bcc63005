import Bytes
import Columns

/// Runs a recipe over the entries of baskets and collects its columns. One per thread and range.
final class RecipeRunner {
    private let recipe: BranchRecipe
    /// A column for each leaf that is wanted.
    private var outputs: [GrowingColumn?]
    private var registers: [Int]
    private var base = UnsafeRawPointer(bitPattern: 64)!
    private var position = 0
    private var end = 0
    private var entries = 0
    /// Items of the member-wise collection being read.
    private var items = 0

    /// - Parameter wanted: the leaves to collect.
    init(_ recipe: BranchRecipe, wanted: [Int], pool: BufferPool) {
        self.recipe = recipe
        let chosen = Set(wanted)
        outputs = recipe.leaves.enumerated().map { index, leaf in
            chosen.contains(index) && leaf.reason == nil
                ? GrowingColumn(type: leaf.type, levels: leaf.shape.varyingLevels, pool: pool) : nil
        }
        registers = .init(repeating: 0, count: recipe.registers)
    }

    /// Reads one entry that begins at `start`.
    /// - Parameter exact: whether the entry must end at `end`.
    /// - Returns: where it ends.
    func entry(_ bytes: UnsafeRawBufferPointer, from start: Int, to end: Int, exact: Bool) throws(InputError) -> Int {
        guard start >= 0, start <= end, end <= bytes.count else {
            throw InputError(
                .corrupt, "an entry lies outside its basket", offset: start, expected: "0 to \(bytes.count)",
                found: "\(start) to \(end)")
        }
        if let first = bytes.baseAddress { base = first }
        position = start
        self.end = end
        try run(recipe.body)
        guard !exact || position == end else {
            throw InputError(
                .corrupt, "an entry has other bytes than its class describes", offset: start,
                expected: "\(end - start)", found: "\(position - start)",
                hint: "The class may write itself in its own way (a custom streamer).")
        }
        entries += 1
        return position
    }

    /// What was collected of a wanted leaf.
    func column(_ leaf: Int) throws(InputError) -> Column {
        guard let output = outputs[leaf] else {
            throw InputError(.unsupported, recipe.leaves[leaf].reason ?? "not wanted")
        }
        return output.column(recipe.leaves[leaf].shape, entries: entries)
    }

    private func require(_ count: Int) throws(InputError) {
        guard count >= 0, count <= end - position else {
            throw InputError(
                .truncated, "an entry ends too early", offset: position, expected: "\(count) more bytes",
                found: "\(end - position)")
        }
    }

    private func u32() throws(InputError) -> Int {
        try require(4)
        defer { position += 4 }
        return Int(UInt32(bigEndian: base.loadUnaligned(fromByteOffset: position, as: UInt32.self)))
    }

    private func u16() throws(InputError) -> Int {
        try require(2)
        defer { position += 2 }
        return Int(UInt16(bigEndian: base.loadUnaligned(fromByteOffset: position, as: UInt16.self)))
    }

    private func u8() throws(InputError) -> Int {
        try require(1)
        defer { position += 1 }
        return Int(base.load(fromByteOffset: position, as: UInt8.self))
    }

    /// A count of items: no more than the bytes that remain, so that a loop over it ends.
    private func count() throws(InputError) -> Int {
        let at = position
        let value = try u32()
        guard value <= end - position else {
            throw InputError(
                .badLength, "a count is larger than its entry", offset: at, expected: "0 to \(end - position)",
                found: "\(value)")
        }
        return value
    }

    /// A version, with the end of what it covers where that is stored.
    private func header() throws(InputError) -> (version: Int, end: Int?) {
        let start = position
        let first = try u16()
        guard first & 0x4000 != 0 else { return (Int(Int16(truncatingIfNeeded: first)), nil) }
        let length = (first & 0x3FFF) << 16 | (try u16())
        guard length >= 2, length <= end - position else {
            throw InputError(
                .badLength, "an object's byte count does not fit its entry", offset: start,
                expected: "2 to \(end - position)", found: "\(length)")
        }
        let stop = position + length
        return (Int(Int16(truncatingIfNeeded: try u16())), stop)
    }

    private func number(_ encoding: Encoding, _ leaf: Int, _ count: Int) throws(InputError) {
        let length = encoding.size * count
        try require(length)
        outputs[leaf]?.append(encoding, base + position, count)
        position += length
    }

    private func characters(_ leaf: Int, _ length: Int) throws(InputError) {
        try require(length)
        outputs[leaf]?.append(.plain(.uint8), base + position, length)
        outputs[leaf]?.push(recipe.leaves[leaf].shape.varyingLevels - 1, length)
        position += length
    }

    private func push(_ use: Recipe.LevelUse, _ count: Int) {
        for (leaf, level) in use.leaves { outputs[leaf]?.push(level, count) }
    }

    private func `repeat`(_ item: Recipe, _ count: Int) throws(InputError) {
        if case .number(let encoding, let leaf) = item { return try number(encoding, leaf, count) }
        for _ in 0..<count { try run(item) }
    }

    private func run(_ recipe: Recipe) throws(InputError) {
        switch recipe {
        case .number(let encoding, let leaf): try number(encoding, leaf, 1)
        case .counter(let encoding, let leaf, let register):
            let at = position
            try number(encoding, leaf, 1)
            registers[register] = value(encoding.type, at)
        case .bits(let leaf):
            let bits = try u32()
            position -= 4
            try number(.plain(.uint32), leaf, 1)
            if bits & 0x10 != 0 { try skip(2) }
        case .text(let leaf):
            var length = try u8()
            if length == 255 { length = try count() }
            try characters(leaf, length)
        case .longText(let leaf): try characters(leaf, try count())
        case .skip(let count): try skip(count)
        case .rootObject:
            let (_, stop) = try header()
            try skip(4)
            if try u32() & 0x10 != 0 { try skip(2) }
            if let stop { position = stop }
        case .pointer:
            let tag = try u32()
            if tag & 0x4000_0000 != 0, tag != 0xFFFF_FFFF { try skip(tag & 0x3FFF_FFFF) }
        case .several(let parts): for part in parts { try run(part) }
        case .fixed(let count, let item): try `repeat`(item, count)
        case .counted(let register, let flagged, let item, let use):
            try counted(registers[register], flagged, item, use)
        case .triangle(let register, let item, let use):
            let rows = registers[register]
            guard (0...1 << 15).contains(rows) else {
                throw InputError(.corrupt, "a matrix has no such number of rows", offset: position, found: "\(rows)")
            }
            try counted(rows * (rows + 1) / 2, false, item, use)
        case .sequence(let item, let use):
            let count = try count()
            push(use, count)
            try `repeat`(item, count)
        case .toEnd(let item, let use):
            var count = 0
            while position < end {
                try run(item)
                count += 1
            }
            push(use, count)
        case .headed(let body): try bounded(try header().end) { () throws(InputError) in try run(body) }
        case .collection(let whole, let memberWise, let name): try collection(whole, memberWise, name)
        case .object(let name, let version, let checksum, let body, let complete):
            try object(name, version, checksum, body, complete)
        case .wholeObject(let object): try wholeObject(object)
        case .named(let name, let body): try named(name, body)
        case .columns(let version, let parts, let use): try columns(version, parts, use)
        case .forEachItem(let body): try `repeat`(body, items)
        case .headedForEachItem(let body):
            let count = items
            try bounded(try header().end) { () throws(InputError) in try `repeat`(body, count) }
        }
    }

    private func skip(_ count: Int) throws(InputError) {
        try require(count)
        position += count
    }

    private func value(_ type: DataType, _ at: Int) -> Int {
        switch type.size {
        case 1: Int(base.loadUnaligned(fromByteOffset: at, as: UInt8.self))
        case 2: Int(UInt16(bigEndian: base.loadUnaligned(fromByteOffset: at, as: UInt16.self)))
        case 4: Int(UInt32(bigEndian: base.loadUnaligned(fromByteOffset: at, as: UInt32.self)))
        default: Int(truncatingIfNeeded: Int64(bigEndian: base.loadUnaligned(fromByteOffset: at, as: Int64.self)))
        }
    }

    private func counted(_ announced: Int, _ flagged: Bool, _ item: Recipe, _ use: Recipe.LevelUse) throws(InputError) {
        if flagged, try u8() == 0 { return push(use, 0) }
        guard announced >= 0, announced <= end - position else {
            throw InputError(
                .badLength, "an array is longer than its entry", offset: position, expected: "0 to \(end - position)",
                found: "\(announced)")
        }
        push(use, announced)
        try `repeat`(item, announced)
    }

    /// Runs `body` so that it cannot pass `stop`, and checks that it reaches it.
    private func bounded(_ stop: Int?, _ body: () throws(InputError) -> Void) throws(InputError) {
        guard let stop else { return try body() }
        let outer = end
        end = stop
        defer { end = outer }
        try body()
        guard position == stop else {
            throw InputError(
                .corrupt, "a value has other bytes than its class describes", offset: position,
                expected: "its end at \(stop)", found: "\(position)")
        }
    }

    private func collection(_ whole: Recipe, _ memberWise: Recipe?, _ name: String) throws(InputError) {
        let (version, stop) = try header()
        guard version & 0x4000 != 0, version > 0 else {
            return try bounded(stop) { () throws(InputError) in try run(whole) }
        }
        guard let memberWise else {
            throw InputError(.unsupported, "the member-wise form of \(name) is not read", offset: position)
        }
        try bounded(stop) { () throws(InputError) in try run(memberWise) }
    }

    private func object(
        _ name: String, _ expected: Int, _ checksum: UInt32, _ body: Recipe, _ complete: Bool
    ) throws(InputError) {
        let start = position
        let (version, stop) = try header()
        if version <= 0, stop != nil {
            let found = try u32()
            guard checksum == 0 || found == Int(checksum) else {
                throw InputError(
                    .unsupported, "the file holds another layout of \(name) than it describes", offset: start,
                    expected: "checksum \(checksum)", found: "\(found)")
            }
        } else if expected >= 0, version != expected {
            throw InputError(
                .unsupported, "the file holds an older layout of \(name)", offset: start,
                expected: "version \(expected)", found: "\(version)")
        }
        guard complete else {
            guard let stop else {
                throw InputError(.unsupported, "an object of \(name) has no length of its own", offset: start)
            }
            let outer = end
            end = stop
            defer { end = outer }
            try run(body)
            position = stop
            return
        }
        try bounded(stop) { () throws(InputError) in try run(body) }
    }

    /// A version has a byte count that reaches to the entry's end; without one the members begin at once.
    private func wholeObject(_ object: Recipe) throws(InputError) {
        guard case .object(_, _, _, let body, _) = object else { return try run(object) }
        if end - position >= 6 {
            let first = UInt32(bigEndian: base.loadUnaligned(fromByteOffset: position, as: UInt32.self))
            if first & 0x4000_0000 != 0, Int(first & 0x3FFF_FFFF) <= end - position - 4 { return try run(object) }
        }
        try run(body)
    }

    private func named(_ name: String, _ body: Recipe) throws(InputError) {
        let length = try u8()
        try require(length + 1)
        let found = String(decoding: UnsafeRawBufferPointer(start: base + position, count: length), as: UTF8.self)
        position += length + 1
        guard length == 0 || found == name else {
            throw InputError(
                .unsupported, "an entry is of another class than its branch", expected: name, found: found)
        }
        try run(body)
    }

    private func columns(_ expected: Int, _ parts: [Recipe], _ use: Recipe.LevelUse) throws(InputError) {
        let version = Int(Int16(truncatingIfNeeded: try u16()))
        if version <= 0 {
            try skip(4)
        } else if expected > 0, version != expected {
            throw InputError(
                .unsupported, "member-wise items have an older layout", offset: position,
                expected: "version \(expected)", found: "\(version)")
        }
        let outer = items
        items = try count()
        defer { items = outer }
        push(use, items)
        let count = items
        for part in parts {
            items = count
            try run(part)
        }
    }
}
