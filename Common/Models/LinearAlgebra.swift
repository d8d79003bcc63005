import COpenBLAS

/// The library that multiplies matrices.
package enum LinearAlgebra {
    /// The kernels that it chose for this processor, or was told to use (OPENBLAS_CORETYPE). Others may round the last bit otherwise.
    package static let kernels = String(cString: openblas_get_corename())
}
