"""Maps onto domains: determinants against automatic differentiation, far tails, edges."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ebmx.energies.bijections import Blockwise, Exp, Identity, Sigmoid, Softplus, StickBreaking

LOW, HIGH = np.array([-1.0, 0.0, 2.0, -5.0]), np.array([0.5, 1e-3, 7.0, 90.0])
BIJECTIONS = {
    "identity": Identity(),
    "exp": Exp(),
    "softplus": Softplus(),
    "sigmoid": Sigmoid(),
    "interval": Sigmoid(LOW, HIGH),
    "simplex": StickBreaking(),
    "blocks": Blockwise((Softplus(), StickBreaking(), Sigmoid(-1.0, 2.0)), (1, 3, 1)),
}
"""Each of four numbers."""

SIMPLICES = {"simplex": slice(0, 5), "blocks": slice(1, 4)}
"""Which coordinates add up to 1: the last one of them is not free."""


def free(name, x):
    return np.delete(x, SIMPLICES[name].stop - 1, 0) if name in SIMPLICES else x


def size(name):
    return 5 if name in SIMPLICES else 4


@pytest.mark.parametrize("name", BIJECTIONS)
def test_the_determinant_is_that_of_the_jacobian_and_the_inverse_returns(name):
    with jax.enable_x64(True):
        bijection = jax.tree.map(lambda a: jnp.asarray(np.float64(a)), BIJECTIONS[name])
        z = 2 * np.random.default_rng(0).normal(size=(3, 4))
        assert bijection.unconstrained_shape((size(name),)) == (4,)

        @jax.jit
        @jax.vmap
        def found(z):
            x = bijection.forward(z)
            jacobian = jax.jacfwd(bijection.forward)(z)
            return x, bijection.inverse(x), bijection.log_det(z), jacobian

        x, back, log_det, jacobian = map(np.asarray, found(z))
        assert x.dtype == log_det.dtype == np.float64
        np.testing.assert_allclose(back, z, rtol=1e-8)
        for row, log in zip(jacobian, log_det, strict=True):
            np.testing.assert_allclose(log, np.linalg.slogdet(free(name, row))[1], rtol=1e-11)
        if name in SIMPLICES:
            np.testing.assert_allclose(x[:, SIMPLICES[name]].sum(1), 1, rtol=1e-14)


LOWEST = {"identity": -np.inf, "sigmoid": 0.0, "interval": LOW, "blocks": [0, 0, 0, 0, -1]}
HIGHEST = {"sigmoid": 1.0, "interval": HIGH, "blocks": [np.inf, 2, 2, 2, 2]}


@pytest.mark.parametrize("name", BIJECTIONS)
def test_far_tails_are_finite_and_inside(name):
    @jax.jit
    def found(z):
        def energy(z):
            logs = jnp.log(bijection.forward(z)) if name != "identity" else z
            return jnp.sum(jnp.where(jnp.isfinite(logs), logs, 0)) - bijection.log_det(z)

        return bijection.forward(z), bijection.log_det(z), jax.grad(energy)(z)

    bijection = BIJECTIONS[name]
    for z in (50.0, -50.0, 1000.0, -1000.0, np.array([50.0, -50.0, 50.0, -1000.0])):
        z = np.broadcast_to(np.float32(z), (4,))
        x, log_det, gradient = map(np.asarray, found(z))
        assert np.isfinite(x).all()
        assert np.isfinite(log_det)
        assert np.isfinite(gradient).all()
        low, high = (
            np.float32(end.get(name, other)) for end, other in ((LOWEST, 0), (HIGHEST, np.inf))
        )
        assert np.all(low < x)
        assert np.all(x < high)


def test_numbers_next_to_an_edge_come_back():
    z = np.array([-50.0, -20.0, -5.0, 10.0], np.float32)
    for bijection in (Exp(), Softplus(), Sigmoid()):
        np.testing.assert_allclose(bijection.inverse(bijection.forward(z)), z, rtol=1e-4)
    x = np.float32([1.0, 1e-20, 1e-9, 1e-30])
    back = StickBreaking().forward(StickBreaking().inverse(x))
    np.testing.assert_allclose(back, x, rtol=1e-5)


def test_the_origin_is_the_centre_of_a_simplex_along_the_last_axis():
    assert StickBreaking().unconstrained_shape((2, 5)) == (2, 4)
    x = StickBreaking().forward(np.zeros((2, 4), np.float32))
    np.testing.assert_allclose(x, np.full((2, 5), 0.2), rtol=1e-6)
    np.testing.assert_allclose(StickBreaking().inverse(x), np.zeros((2, 4)), atol=1e-6)


@pytest.mark.parametrize(
    ("bijection", "x"),
    [
        (Exp(), [1.0, 0.0, -1.0]),
        (Softplus(), [1.0, 0.0, -1.0]),
        (Sigmoid(-1, 1), [0.0, 1.0, 1.5]),
        (StickBreaking(), [0.5, 0.4, 0.3]),
        (StickBreaking(), [0.5, 0.3, 0.2015]),
        (StickBreaking(), [0.5, 0.2, 0.1]),
    ],
)
def test_outside_of_the_domain_an_inverse_is_not_finite(bijection, x):
    z = np.asarray(bijection.inverse(np.float32(x)))
    assert np.isfinite(z).tolist() == ([False, False] if len(z) == 2 else [True, False, False])


BAD = {
    "high=[0.0, 1.0]: give low < high": lambda: Sigmoid(0.0, [0.0, 1.0]),
    "high.shape=(3,): low has the shape (2,)": lambda: Sigmoid(np.zeros(2), np.ones(3)),
    "low=-inf: give finite numbers": lambda: Sigmoid(-np.inf, 1),
    "low.shape=(2,)": lambda: Sigmoid(np.zeros(2), 1).unconstrained_shape((3,)),
    "shape=(1,): parts that add up to 1": lambda: StickBreaking().unconstrained_shape((1,)),
    "shape=(1,): parts that add up": lambda: Blockwise((Exp(), StickBreaking()), (1, 1)),
    "sizes=(1,): give one size": lambda: Blockwise((Exp(), Exp()), (1,)),
    "shape=(5,): the parts are a vector of 3": lambda: Blockwise(
        (Exp(), StickBreaking()), (1, 2)
    ).unconstrained_shape((5,)),
}


@pytest.mark.parametrize("words", BAD)
def test_what_does_not_fit_is_refused(words):
    with pytest.raises(ValueError) as error:  # noqa: PT011
        BAD[words]()
    assert words in str(error.value)
