// The segment builder's page.

import { render } from 'preact';
import { App } from './app.jsx';
import './style/page.css';

render(<App />, document.getElementById('page'));
