public import Bytes

/// Work on a column's values that is generic over their type: `Column.withValues` calls `visit` once, with that type.
@usableFromInline
package protocol ColumnVisitor {
    associatedtype Result

    /// - Parameter values: all values of the column; valid during the call.
    func visit<Value: NativeValue>(_ values: UnsafeBufferPointer<Value>) -> Result
}

/// Work that is generic over a type of values, without any values: `DataType.withType` calls `visit` once.
@usableFromInline
package protocol TypeVisitor {
    associatedtype Result

    /// Does the work for the one type of values that a `DataType` stands for.
    func visit<Value: NativeValue>(_ type: Value.Type) -> Result
}

extension DataType {
    /// Calls the visitor with the Swift type of the values. This is the one switch over the native types.
    @inlinable
    package func withType<Visitor: TypeVisitor>(_ visitor: Visitor) -> Visitor.Result {
        switch self {
        case .bool: visitor.visit(NativeBool.self)
        case .int8: visitor.visit(Int8.self)
        case .uint8: visitor.visit(UInt8.self)
        case .int16: visitor.visit(Int16.self)
        case .uint16: visitor.visit(UInt16.self)
        case .int32: visitor.visit(Int32.self)
        case .uint32: visitor.visit(UInt32.self)
        case .int64: visitor.visit(Int64.self)
        case .uint64: visitor.visit(UInt64.self)
        case .float32: visitor.visit(Float.self)
        case .float64: visitor.visit(Double.self)
        }
    }
}

extension Column {
    /// Hands a column's values, by their type, to a column visitor.
    @usableFromInline
    struct ValuesVisitor<Visitor: ColumnVisitor>: TypeVisitor {
        @usableFromInline
        let column: Column
        @usableFromInline
        let visitor: Visitor

        @usableFromInline
        init(column: Column, visitor: Visitor) {
            self.column = column
            self.visitor = visitor
        }

        @inlinable
        func visit<Value: NativeValue>(_: Value.Type) -> Visitor.Result {
            visitor.visit(UnsafeBufferPointer(column.values.values(of: Value.self, count: column.count)))
        }
    }

    /// Calls the visitor with the column's values.
    @inlinable
    package func withValues<Visitor: ColumnVisitor>(_ visitor: Visitor) -> Visitor.Result {
        type.withType(ValuesVisitor(column: self, visitor: visitor))
    }
}
