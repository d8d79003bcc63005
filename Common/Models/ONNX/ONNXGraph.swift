import Foundation

/// An ONNX graph while layers add their tensors and operators to it.
package struct ONNXGraph: Sendable {
    /// The value of an operator's attribute.
    package enum Attribute: Sendable {
        case whole(Int64)
        case wholes([Int64])
        case real(Float)
    }

    private(set) var proto = Onnx_GraphProto()

    init(name: String) { proto.name = name }

    /// Appends a Float32 tensor of known values.
    ///
    /// - Parameters:
    ///   - shape: the extent of each axis.
    ///   - values: in C order, as many as the shape has.
    package mutating func tensor(_ name: String, shape: [Int], _ values: some Collection<Float>) {
        precondition(values.count == shape.reduce(1, *))
        var tensor = Onnx_TensorProto()
        tensor.name = name
        tensor.dims = shape.map(Int64.init)
        tensor.dataType = ONNXModel.float32
        tensor.rawData = values.map(\.bitPattern.littleEndian).withUnsafeBytes { Data($0) }
        proto.initializer.append(tensor)
    }

    /// Appends an operator.
    ///
    /// - Parameters:
    ///   - type: the operator's name in the ONNX standard.
    ///   - inputs: the names of the values that it takes.
    ///   - output: the name of the value that it gives.
    ///   - attributes: its attributes.
    package mutating func node(
        _ type: String, _ inputs: [String], _ output: String, attributes: [(name: String, value: Attribute)] = []
    ) {
        var node = Onnx_NodeProto()
        (node.opType, node.input, node.output, node.name) = (type, inputs, [output], type + ":" + output)
        node.attribute = attributes.map { name, value in
            var attribute = Onnx_AttributeProto()
            attribute.name = name
            switch value {
            case .real(let value): (attribute.f, attribute.type) = (value, 1)
            case .whole(let value): (attribute.i, attribute.type) = (value, 2)
            case .wholes(let values): (attribute.ints, attribute.type) = (values, 7)
            }
            return attribute
        }
        proto.node.append(node)
    }

    /// Declares an input of the whole graph, `[N] + shape` in Float32.
    mutating func input(_ name: String, shape: [Int]) { proto.input.append(Self.value(name, shape)) }

    /// Declares an output of the whole graph, `[N] + shape` in Float32.
    mutating func output(_ name: String, shape: [Int]) { proto.output.append(Self.value(name, shape)) }

    private static func value(_ name: String, _ shape: [Int]) -> Onnx_ValueInfoProto {
        var samples = Onnx_TensorShapeProto.Dimension()
        samples.dimParam = "N"
        let axes = shape.map { extent in
            var axis = Onnx_TensorShapeProto.Dimension()
            axis.dimValue = Int64(extent)
            return axis
        }
        var info = Onnx_ValueInfoProto()
        info.name = name
        info.type.tensorType.elemType = ONNXModel.float32
        info.type.tensorType.shape.dim = [samples] + axes
        return info
    }
}
