/// One value for each part of the split: train, validation, test.
///
/// In JSON it is an array of three, in that order.
@usableFromInline
package struct PartTable<Value> {
    @usableFromInline
    package var train: Value
    @usableFromInline
    package var validation: Value
    @usableFromInline
    package var test: Value

    @inlinable
    package init(train: Value, validation: Value, test: Value) {
        self.train = train
        self.validation = validation
        self.test = test
    }

    /// Gives every part the same value.
    @inlinable
    package init(repeating value: Value) { self.init(train: value, validation: value, test: value) }

    /// Makes each part's value, in the order train, validation, test.
    @inlinable
    package static func make<Failure: Error>(
        _ value: (SplitPart) throws(Failure) -> Value
    ) throws(Failure) -> PartTable {
        PartTable(train: try value(.train), validation: try value(.validation), test: try value(.test))
    }

    @inlinable
    package subscript(part: SplitPart) -> Value {
        _read {
            switch part {
            case .train: yield train
            case .validation: yield validation
            case .test: yield test
            }
        }
        _modify {
            switch part {
            case .train: yield &train
            case .validation: yield &validation
            case .test: yield &test
            }
        }
    }

    /// The three values, in the order train, validation, test.
    @inlinable
    package var values: [Value] { [train, validation, test] }

    /// The table of the transformed values.
    @inlinable
    package func map<Result, Failure: Error>(
        _ transform: (Value) throws(Failure) -> Result
    ) throws(Failure) -> PartTable<Result> {
        PartTable<Result>(
            train: try transform(train), validation: try transform(validation), test: try transform(test))
    }
}

extension PartTable where Value: AdditiveArithmetic {
    /// The sum over the parts.
    @inlinable
    package var total: Value { train + validation + test }
}

extension PartTable: Equatable where Value: Equatable {}
extension PartTable: Hashable where Value: Hashable {}
extension PartTable: Sendable where Value: Sendable {}

extension PartTable: Encodable where Value: Encodable {
    @usableFromInline
    package func encode(to encoder: any Encoder) throws {
        var container = encoder.unkeyedContainer()
        for value in values { try container.encode(value) }
    }
}

extension PartTable: Decodable where Value: Decodable {
    @usableFromInline
    package init(from decoder: any Decoder) throws {
        var container = try decoder.unkeyedContainer()
        self.init(
            train: try container.decode(Value.self), validation: try container.decode(Value.self),
            test: try container.decode(Value.self))
        guard container.isAtEnd else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "expected three values, one for each part of the split; found more")
        }
    }
}
