import Storage
import Bytes
import Columns

/// Turns an RNTuple's schema into descriptions of its columns.
struct NTupleReading {
    let schema: NTupleSchema
    let pages: NTuplePages
    let entries: Int64
    private let children: [[Int]]
    private let columnsOf: [[Int]]
    /// The fields that count a collection's items, by the index columns they count with.
    private let counters: [[Int]: String]

    init(schema: NTupleSchema, pages: NTuplePages, entries: Int64) {
        self.schema = schema
        self.pages = pages
        self.entries = entries
        var children = [[Int]](repeating: [], count: schema.fields.count)
        for (index, field) in schema.fields.enumerated() where field.parent < index {
            children[field.parent].append(index)
        }
        var columns = [[Int]](repeating: [], count: schema.fields.count)
        for (index, column) in schema.columns.enumerated() where column.field < columns.count {
            columns[column.field].append(index)
        }
        for alias in schema.aliases where alias.field < columns.count && alias.column < schema.columns.count {
            columns[alias.field].append(alias.column)
        }
        self.children = children
        columnsOf = columns
        var counters: [[Int]: String] = [:]
        for (index, field) in schema.fields.enumerated()
        where Self.isCardinality(field) && counters[columns[index]] == nil {
            counters[columns[index]] = field.name
        }
        self.counters = counters
    }

    private static func isCardinality(_ field: NTupleSchema.Field) -> Bool {
        field.typeName.hasPrefix("ROOT::RNTupleCardinality<")
            || field.typeName.hasPrefix("ROOT::Experimental::RNTupleCardinality<")
    }

    func branches() -> [BranchDescription] {
        var found: [BranchDescription] = []
        for (index, field) in schema.fields.enumerated() where field.parent == index {
            visit(index, FieldContext(branch: field.name, description: field.description), into: &found)
        }
        return found
    }

    /// What the fields above a field mean for its columns.
    private struct FieldContext {
        var branch: String
        var description: String
        var path: [String] = []
        var steps: [NTupleColumn.Step] = []
        var levels: [Shape.Level] = []
        var depth = 0
        /// The product of the fixed levels.
        var fixed = 1
        /// New names for members of the next record, where a derived class has several of one name.
        var names: [String: String] = [:]
    }

    private func visit(_ index: Int, _ context: FieldContext, into found: inout [BranchDescription]) {
        let field = schema.fields[index]
        var context = context
        context.depth += 1
        guard context.depth < 32, found.count < 1_000_000 else {
            return addUnsupported(field, context, "fields nest too deep", &found)
        }
        if let size = field.arraySize, field.role != nil {
            let (product, overflow) = context.fixed.multipliedReportingOverflow(by: size)
            guard !overflow, product <= 1 << 24 else {
                return addUnsupported(
                    field, context, "fixed arrays of \(context.fixed) times \(size) items are not plausible", &found)
            }
            context.fixed = product
            context.steps.append(.fixed(size))
            context.levels.append(.fixed(size))
        }
        switch field.role {
        case .collection:
            guard let columns = columns(index, where: \.isIndex) else {
                return addUnsupported(field, context, "a collection without an index column", &found)
            }
            context.steps.append(.collection(columns))
            context.levels.append(.varying)
            for child in children[index] { visit(child, context, into: &found) }
        case .record:
            let names = context.names
            context.names = [:]
            let members = members(index)
            for (child, labels) in members {
                var inner = context
                if schema.fields[child].name.hasPrefix(":") {
                    inner.names = labels.mapValues { names[$0] ?? $0 }
                } else {
                    let label = Self.label(schema.fields[child].name)
                    inner.path.append(names[label] ?? label)
                }
                visit(child, inner, into: &found)
            }
        case .variant:
            guard let columns = columns(index, where: { $0 == .switchTag }) else {
                return addUnsupported(field, context, "a variant without a switch column", &found)
            }
            for (ordinal, child) in children[index].enumerated() {
                var inner = context
                inner.path.append(String(ordinal))
                inner.steps.append(.alternative(columns, tag: UInt32(ordinal + 1)))
                inner.levels.append(.varying)
                visit(child, inner, into: &found)
            }
        case .leaf: leaf(index, field, context, into: &found)
        case .streamed:
            addUnsupported(
                field, context, "an object of \(field.typeName) in ROOT's own streaming is not read as numbers", &found)
        case nil: addUnsupported(field, context, "a field of an unknown structure", &found)
        }
    }

    /// A record's subfields, each with what it calls its members: those of base classes stand among its own, behind the
    /// class's name where others have the same.
    private func members(_ record: Int, depth: Int = 0) -> [(field: Int, labels: [String: String])] {
        guard depth < 32 else { return [] }
        let own = children[record].map { child -> (field: Int, names: [String]) in
            let field = schema.fields[child]
            guard field.name.hasPrefix(":") else { return (child, [Self.label(field.name)]) }
            return (child, members(child, depth: depth + 1).flatMap { $0.labels.values })
        }
        var counts: [String: Int] = [:]
        for (_, names) in own { for name in names { counts[name, default: 0] += 1 } }
        return own.map { child, names in
            let isBase = schema.fields[child].name.hasPrefix(":")
            return (
                child,
                Dictionary(
                    names.map { ($0, isBase && counts[$0]! > 1 ? schema.fields[child].typeName + "::" + $0 : $0) }
                ) { first, _ in first }
            )
        }
    }

    /// A tuple's members are named by their indices.
    private static func label(_ name: String) -> String {
        name.hasPrefix("_") && name.dropFirst().allSatisfy(\.isNumber) && name.count > 1
            ? String(name.dropFirst()) : name
    }

    private func columns(_ field: Int, where fits: (NTupleEncoding) -> Bool) -> [Int]? {
        let found = columnsOf[field].filter { schema.columns[$0].type.map(fits) ?? false }
        return found.isEmpty || found.count != columnsOf[field].count ? nil : found
    }

    private func leaf(
        _ index: Int, _ field: NTupleSchema.Field, _ context: FieldContext, into found: inout [BranchDescription]
    ) {
        let own = columnsOf[index]
        if own.isEmpty {
            // An array, an enumeration, an atomic: its value is the one subfield.
            guard let child = children[index].first, children[index].count == 1 else {
                return addUnsupported(field, context, "a field of \(field.typeName) without data", &found)
            }
            return visit(child, context, into: &found)
        }
        if field.typeName == "std::string" {
            let indices = own.filter { schema.columns[$0].type?.isIndex == true }
            let characters = own.filter { schema.columns[$0].type == .char }
            guard !indices.isEmpty, indices.count + characters.count == own.count else {
                return addUnsupported(field, context, "a string without its columns", &found)
            }
            var context = context
            context.steps.append(.collection(indices))
            context.levels.append(.varying)
            return add(field, context, .text(Shape(context.levels)), .numbers(characters), into: &found)
        }
        guard own.allSatisfy({ schema.columns[$0].type != nil }) else {
            return addUnsupported(field, context, "a column type that this version does not know", &found)
        }
        if Self.isCardinality(field) {
            guard own.allSatisfy({ schema.columns[$0].type!.isIndex }) else {
                return addUnsupported(field, context, "a count without an index column", &found)
            }
            return add(field, context, .numbers(.int64, Shape(context.levels)), .cardinality(own), into: &found)
        }
        guard let type = Self.type(field.typeName, schema.columns[own[0]].type!) else {
            return addUnsupported(field, context, "a \(field.typeName) is not a number", &found)
        }
        add(field, context, .numbers(type, Shape(context.levels)), .numbers(own), into: &found)
    }

    /// What a column of numbers holds: the field's C++ type where that is a number, else what is stored.
    private static func type(_ name: String, _ stored: NTupleEncoding) -> DataType? {
        // The column type Char is a byte of text; readers of the field give it as unsigned.
        if name == "char" { return .uint8 }
        if let encoding = CxxType(name).number { return encoding.type }
        return stored.natural
    }

    private func add(
        _ field: NTupleSchema.Field, _ context: FieldContext, _ content: BranchDescription.Content,
        _ leaf: NTupleColumn.Leaf,
        into found: inout [BranchDescription]
    ) {
        let column = NTupleColumn(pages: pages, steps: context.steps, leaf: leaf)
        let name = context.path.isEmpty ? nil : context.path.joined(separator: ".")
        var (stored, plain): (Int64, Int64) = (0, 0)
        for cluster in pages.clusters {
            for physical in column.leafColumns {
                for page in cluster.column(physical).pages {
                    stored = stored.addingClamped(Int64(page.range.length))
                    plain = plain.addingClamped(Int64((page.count * schema.columns[physical].bits + 7) / 8))
                }
            }
        }
        found.append(
            BranchDescription(
                name: name.map { context.branch + "." + $0 } ?? context.branch, branchPath: context.branch,
                leafName: name,
                leafIndex: 0,
                title: field.description.isEmpty ? context.description : field.description, typeName: field.typeName,
                content: content,
                counter: context.steps.isEmpty ? nil : counterName(context), entries: entries, compressedBytes: stored,
                uncompressedBytes: plain,
                storage: .pages(column)))
    }

    /// The field whose count is that of the outermost collection.
    private func counterName(_ context: FieldContext) -> String? {
        guard case .collection(let columns)? = context.steps.first, context.levels.first == .varying else { return nil }
        return counters[columns]
    }

    private func addUnsupported(
        _ field: NTupleSchema.Field, _ context: FieldContext, _ reason: String, _ found: inout [BranchDescription]
    ) {
        let name = context.path.isEmpty ? nil : context.path.joined(separator: ".")
        found.append(
            BranchDescription(
                name: name.map { context.branch + "." + $0 } ?? context.branch, branchPath: context.branch,
                leafName: name,
                leafIndex: 0,
                title: context.description, typeName: field.typeName, content: .unsupported(reason: reason),
                counter: nil,
                entries: entries,
                compressedBytes: 0, uncompressedBytes: 0,
                storage: .pages(NTupleColumn(pages: pages, steps: [], leaf: .numbers([])))))
    }
}

extension NTupleEncoding {
    /// The type of the stored values; nil for indices and switches.
    var natural: DataType? {
        switch self {
        case .bit: .bool
        case .byte, .uint8: .uint8
        case .char, .int8: .int8
        case .int16, .splitInt16: .int16
        case .uint16, .splitUInt16: .uint16
        case .int32, .splitInt32: .int32
        case .uint32, .splitUInt32: .uint32
        case .int64, .splitInt64: .int64
        case .uint64, .splitUInt64: .uint64
        case .real16, .real32, .splitReal16, .splitReal32, .real32Trunc, .real32Quant: .float32
        case .real64, .splitReal64: .float64
        case .index32, .index64, .splitIndex32, .splitIndex64, .switchTag: nil
        }
    }
}
